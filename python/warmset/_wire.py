"""Frames on the daemon's Unix socket: docs/formats/wire.md."""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
from typing import Any, Dict, List, Sequence, Tuple

from .errors import DaemonTimeoutError, DaemonUnavailableError, InvalidRequestError, WarmsetError

Message = Dict[str, Any]  # protobuf's JSON mapping, with the field names of the .proto

PROTOCOL = (1, 2)
_HEADER = struct.Struct("<IBBH")
_JSON = 1
_MAX_PAYLOAD = 16 << 20
_MAX_FDS = 253  # SCM_MAX_FD, the kernel's limit for one message


def socket_path() -> str:
    """$WARMSET_SOCKET, else $XDG_RUNTIME_DIR/warmset/warmset.sock, else one in /tmp.

    The folder in /tmp could be anyone's: DaemonUnavailableError with the code
    permission_denied when it belongs to another user or others may write to it.
    """
    named = os.environ.get("WARMSET_SOCKET")
    if named:
        return named
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return os.path.join(runtime, "warmset", "warmset.sock")
    folder = f"/tmp/warmset-{os.getuid()}"
    try:
        found = os.lstat(folder)
    except OSError:
        return os.path.join(folder, "warmset.sock")  # connecting says what is wrong
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise DaemonUnavailableError(
            f"{folder} is not a folder that only you can write to: remove it, "
            "or set WARMSET_SOCKET",
            "permission_denied",
        )
    return os.path.join(folder, "warmset.sock")


def connect(path: str, timeout: float) -> socket.socket:
    """DaemonUnavailableError when nobody listens there. See set_timeout().

    DaemonTimeoutError when the listener's queue stays full."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        set_timeout(sock, timeout)
        sock.connect(path)
    except BlockingIOError:
        sock.close()
        raise DaemonTimeoutError(f"the daemon at {path} accepts no connection") from None
    except OSError as error:
        sock.close()
        raise DaemonUnavailableError(
            f"no daemon at {path} ({error.strerror or error}): start one with `warmset serve`"
        ) from None
    return sock


def set_timeout(sock: socket.socket, seconds: float) -> None:
    """How long one wait on the socket may last, then BlockingIOError; 0: for ever.

    By the kernel's timeouts, not Python's, whose non-blocking connect() fails at
    once when the listener's queue is full.
    """
    timeval = struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


def is_readable(sock: socket.socket) -> bool:
    """Whether a frame is here. False, too, when the daemon is gone."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return False


def peer_pid(sock: socket.socket) -> int:
    """The daemon's process, as the kernel knows it; 0 when it is in another PID namespace."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", raw)[0])


def encode(message: Message, fds: int = 0) -> bytes:
    payload = json.dumps(message, separators=(",", ":")).encode()
    if len(payload) > _MAX_PAYLOAD:
        raise InvalidRequestError(f"a request of {len(payload)} bytes, at most {_MAX_PAYLOAD}")
    return _HEADER.pack(len(payload), _JSON, fds, 0) + payload


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Sends the whole frame; the descriptors ride on its first byte."""
    data = encode(message, len(fds))
    sent = socket.send_fds(sock, [data], list(fds), socket.MSG_NOSIGNAL) if fds else 0
    sock.sendall(data[sent:], socket.MSG_NOSIGNAL)


def receive(sock: socket.socket) -> Tuple[Message, List[int]]:
    """One frame and its descriptors, which are then the caller's to close.

    EOFError when the daemon is gone, WarmsetError for what is no frame; after
    either, close the socket.
    """
    header, fds = _receive_header(sock)
    try:
        size, encoding, fd_count, flags = _HEADER.unpack(header)
        if encoding != _JSON or flags or size > _MAX_PAYLOAD or fd_count != len(fds):
            raise WarmsetError(
                f"the daemon sent a frame that breaks the format: {size} bytes, "
                f"encoding {encoding}, flags {flags}, {len(fds)} of {fd_count} descriptors"
            )
        payload = bytearray(size)
        view = memoryview(payload)
        while view:
            got = sock.recv_into(view)
            if not got:
                raise EOFError("the daemon closed the connection within a frame")
            view = view[got:]
        message = json.loads(payload)
        if not isinstance(message, dict):
            raise ValueError(f"not an object but {type(message).__name__}")
    except ValueError as error:
        close_all(fds)
        raise WarmsetError(f"the daemon sent a message that is no JSON: {error}") from None
    except BaseException:
        close_all(fds)
        raise
    return message, fds


def _receive_header(sock: socket.socket) -> Tuple[bytes, List[int]]:
    header = b""
    fds: List[int] = []
    try:
        while len(header) < _HEADER.size:
            data, more, flags, _ = socket.recv_fds(
                sock, _HEADER.size - len(header), _MAX_FDS, socket.MSG_CMSG_CLOEXEC
            )
            fds += more
            if flags & socket.MSG_CTRUNC:
                raise WarmsetError(
                    "descriptors were lost: the limit of open files (ulimit -n) is too low"
                )
            if not data:
                raise EOFError("the daemon closed the connection")
            header += data
    except BaseException:
        close_all(fds)
        raise
    return header, fds


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)

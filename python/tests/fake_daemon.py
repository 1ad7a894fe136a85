"""A test double of warmsetd: the protocol, without a cache behind it.

    python fake_daemon.py SOCKET FOLDER [FAULT]

Serves every *.safetensors file in FOLDER as the model of that file's stem, from
sealed memfds like the real one's. FAULT makes it misbehave, see `faults` below.
Ready when the socket accepts; ends with SIGTERM.
"""

from __future__ import annotations

import array
import fcntl
import itertools
import json
import os
import pathlib
import socket
import struct
import sys
import threading
from typing import Any, Dict, List, Sequence, Tuple

import index_encoder

_ALL_SEALS = 0x10 | 0x2 | 0x4 | 0x1  # FUTURE_WRITE, SHRINK, GROW, SEAL


class Refused(Exception):
    def __init__(self, code: str, message: str, candidates: Sequence[str] = ()) -> None:
        self.answer: Dict[str, Any] = {"code": code, "message": message}
        self.answer["candidates"] = list(candidates)


def sealed(name: str, content: bytes, seals: int = _ALL_SEALS) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    fcntl.fcntl(fd, 1033, seals)  # F_ADD_SEALS
    return fd


class Entry:
    """One component in memory; made once, as in the real daemon."""

    def __init__(self, content: bytes, fault: str) -> None:
        try:
            entries, metadata = index_encoder.entries_of_safetensors(content)
        except ValueError:  # of another format: nothing but its bytes
            entries, metadata = [], {}
        if fault == "outside":
            entries = [(n, d, s, len(content), b) for n, d, s, _, b in entries]
        if fault == "unknown_dtype":
            index_encoder.NUMBERS["F32"] = 99
        self.bytes = len(content)
        index = index_encoder.encode(entries, metadata, len(content))
        self.index_fd = sealed("warmset-index", index)
        cut = 4096 if fault == "chunks" else len(content)
        seals = 1 if fault == "unsealed" else _ALL_SEALS
        more = 1 << 20 if fault == "short" else 0
        pieces = [content[at : at + cut] for at in range(0, len(content), cut)]
        self.chunks = [
            (sealed("warmset-entry", piece, seals), len(piece) + more) for piece in pieces
        ]


class Daemon:
    def __init__(self, folder: pathlib.Path, fault: str) -> None:
        self.folder = folder
        self.fault = fault
        self.lock = threading.Lock()
        self.entries: Dict[bytes, Entry] = {}
        self.leases: Dict[int, str] = {}
        self.numbers = itertools.count(1)
        self.held_bytes = 0

    def names(self) -> List[str]:
        return sorted(path.stem for path in self.folder.glob("*.safetensors"))

    def resolve(self, name: str) -> str:
        found = [known for known in self.names() if known.startswith(name)]
        if name in found or len(found) == 1:
            return name if name in found else found[0]
        if found:
            raise Refused("ambiguous_name", f"{name}: {len(found)} models begin so", found)
        raise Refused("model_not_found", f"{name}: no such model", self.names())

    def entry(self, content: bytes) -> Entry:
        with self.lock:
            if content not in self.entries:
                self.entries[content] = Entry(content, self.fault)
            return self.entries[content]

    def state(self, name: str) -> Dict[str, Any]:
        size = (self.folder / f"{name}.safetensors").stat().st_size
        leases = sum(held == name for held in self.leases.values())
        state = {"name": name, "id": "0" * 32, "bytes": str(size), "cache_state": "CACHED"}
        return {**state, "leases": leases} if leases else state  # as protobuf leaves out a 0


class Session(threading.Thread):
    def __init__(self, daemon: Daemon, sock: socket.socket) -> None:
        super().__init__(daemon=True)
        self.daemon_ = daemon
        self.sock = sock
        self.leases: List[int] = []

    def run(self) -> None:
        try:
            while True:
                header, fds = self.read_header()
                size = struct.unpack("<IBBH", header)[0]
                request = json.loads(self.read(size))
                self.answer(request, fds)
                for fd in fds:
                    os.close(fd)
        except (OSError, EOFError):
            pass
        for lease in self.leases:
            self.daemon_.leases.pop(lease, None)
        self.sock.close()

    def read_header(self) -> Tuple[bytes, List[int]]:
        data, fds, _, _ = socket.recv_fds(self.sock, 8, 16)
        if not data:
            raise EOFError
        return data + self.read(8 - len(data)), fds

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.sock.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def send(
        self, request: Dict[str, Any], result: Dict[str, Any], fds: Sequence[int] = ()
    ) -> None:
        answer = {"id": request["id"], **result}
        if self.daemon_.fault == "wrong_id" and "hello" not in result:
            answer["id"] = "4711"
        payload = json.dumps(answer).encode()
        frame = struct.pack("<IBBH", len(payload), 1, len(fds), 0) + payload
        if half := self.daemon_.fault == "half_frame" and "hello" not in result:
            frame = frame[:-3]
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([frame], ancillary)
        self.sock.sendall(frame[sent:])
        if half:
            raise EOFError

    def answer(self, request: Dict[str, Any], fds: List[int]) -> None:
        call = next(key for key in request if key != "id")
        arguments = request[call]
        if call != "hello" and self.daemon_.fault == "silent":
            threading.Event().wait()
        try:
            getattr(self, call)(request, arguments, fds)
        except Refused as refused:
            self.send(request, {"error": refused.answer})

    def hello(self, request: Any, arguments: Any, fds: List[int]) -> None:
        self.daemon_.held_bytes = int(arguments.get("held_bytes", 0))
        major = 2 if self.daemon_.fault == "version" else 1
        if self.daemon_.fault == "silent_hello":
            threading.Event().wait()
        self.send(request, {"hello": {"protocol_major": major, "version": "double"}})

    def get_status(self, request: Any, arguments: Any, fds: List[int]) -> None:
        memory = {"limit": str(1 << 30), "orphaned": str(self.daemon_.held_bytes)}
        status = {"version": "double", "pid": os.getpid(), "memory": memory}
        self.send(request, {"status": status})

    def list_models(self, request: Any, arguments: Any, fds: List[int]) -> None:
        wanted = arguments.get("filter", "")
        names = [name for name in self.daemon_.names() if wanted in name]
        self.send(request, {"models": {"models": [self.daemon_.state(name) for name in names]}})

    def get_model_state(self, request: Any, arguments: Any, fds: List[int]) -> None:
        results: List[Dict[str, Any]] = []
        for name in arguments["names"]:
            try:
                results.append({"state": self.daemon_.state(self.daemon_.resolve(name))})
            except Refused as refused:
                results.append({"error": refused.answer})
        self.send(request, {"states": {"results": results}})

    def get_model_detail(self, request: Any, arguments: Any, fds: List[int]) -> None:
        name = self.daemon_.resolve(arguments["name"])
        component = {"name": "model", "cache_state": "CACHED"}
        detail = {"state": self.daemon_.state(name), "components": [component]}
        self.send(request, {"detail": detail})

    def cache(self, request: Any, arguments: Any, fds: List[int]) -> None:
        state = self.daemon_.state(self.daemon_.resolve(arguments["model"]))
        for done in (0, 1):
            progress = {"stage": "read", "total": "1", "unit": "bytes"}
            if done:
                progress["done"] = "1"
            self.send(request, {"more": True, "progress": progress})
        self.send(request, {"cache": {"state": state, "already_bytes": state["bytes"]}})

    def get_path(self, request: Any, arguments: Any, fds: List[int]) -> None:
        name = self.daemon_.resolve(arguments["model"])
        self.send(request, {"path": {"path": str(self.daemon_.folder / f"{name}.safetensors")}})

    def attach(self, request: Any, arguments: Any, fds: List[int]) -> None:
        daemon = self.daemon_
        if daemon.fault == "die":
            os._exit(1)
        if daemon.fault == "limit":
            raise Refused("ram_limit_exceeded", "needs more RAM than the limit of 1 B leaves")
        if daemon.fault == "unreadable":
            refused = Refused("io_error", "read a file at offset 4096: Input/output error")
            refused.answer["offset"] = "4096"
            raise refused
        if arguments.get("file"):
            name = ""
            size = os.fstat(fds[0]).st_size
            content = os.pread(fds[0], size, 0)
        else:
            name = daemon.resolve(arguments["model"])
            content = (daemon.folder / f"{name}.safetensors").read_bytes()
        parts = arguments.get("components") or (
            ["unet", "vae"] if daemon.fault == "components" else ["model"]
        )
        if unknown := set(parts) - {"model", "unet", "vae"}:
            raise Refused("component_not_found", f"{name} has no component {unknown}")
        entry = daemon.entry(content)
        for left, part in reversed(list(enumerate(reversed(parts)))):
            lease = next(daemon.numbers)
            daemon.leases[lease] = name
            self.leases.append(lease)
            attached = {
                "model": name,
                "component": part,
                "lease": str(lease),
                "bytes": str(entry.bytes),
                "chunks": [
                    {"fd": number + 1, "bytes": str(nbytes)}
                    for number, (_, nbytes) in enumerate(entry.chunks)
                ],
            }
            if arguments.get("file_runs"):
                attached["file_runs"] = self.file_runs(entry.bytes)
            descriptors = [entry.index_fd, *(fd for fd, _ in entry.chunks)]
            if daemon.fault == "error_after_attached":
                self.send(request, {"more": True, "attached": attached}, descriptors)
                raise Refused("io_error", "the second component can't be read")
            self.send(request, {"more": left > 0, "attached": attached}, descriptors)

    def file_runs(self, size: int) -> List[Dict[str, str]]:
        """With the fault "gap", what lies in the middle of the file is not in RAM."""
        begins = [(0, size // 2), (size // 2 + 512, size)]
        pieces = begins if self.daemon_.fault == "gap" else [(0, size)]
        return [
            {"file_offset": str(begin), "offset": str(begin), "bytes": str(end - begin)}
            for begin, end in pieces
        ]

    def release(self, request: Any, arguments: Any, fds: List[int]) -> None:
        for lease in arguments["leases"]:
            number = int(lease)
            if number not in self.leases:
                os._exit(3)  # a client gave back what it did not hold
            self.leases.remove(number)
            del self.daemon_.leases[number]


faults = (
    "chunks components die error_after_attached gap half_frame limit outside short silent "
    "silent_hello unknown_dtype unreadable unsealed version wrong_id"
).split()


def main() -> None:
    path, folder, fault = (*sys.argv[1:], "")[:3]
    assert not fault or fault in faults, fault
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    daemon = Daemon(pathlib.Path(folder), fault)
    while True:
        Session(daemon, listener.accept()[0]).start()


if __name__ == "__main__":
    main()

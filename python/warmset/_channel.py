"""One connection to the daemon: calls, reconnects, forks, and the leases that it carries.

Rules that everything here follows:

1. A lease belongs to the connection that it was granted on. When that ends, so
   does the lease; the memory stays mapped all the same.
2. A lease is given back when its last memory is unmapped. That can happen in a
   finaliser, in any thread, in the middle of any call: it only appends to a
   queue and tries the lock. Whoever holds the lock empties the queue after.
3. After a fork the child closes its copy of the socket and connects for itself
   when it next calls. It never gives back what its parent leased.
4. The daemon may end leases by itself, with an event: their memory must not be used
   any more. Events are read by the next call, or when memory is about to be used.
5. A new connection first tells the daemon how much is still mapped that an
   earlier daemon handed out. From the same daemon it then leases again what is
   still mapped and still in RAM.
"""

from __future__ import annotations

import collections
import contextlib
import os
import socket
import sys
import threading
import warnings
import weakref
from typing import Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from . import _wire
from .errors import (
    DaemonTimeoutError,
    DaemonUnavailableError,
    InvalidRequestError,
    VersionMismatchError,
    WarmsetError,
    WarmsetWarning,
    error_from_message,
)
from .states import Progress, decode

Message = _wire.Message
ProgressCallback = Callable[[Progress], None]

# What may read from disk for long; the daemon shows progress meanwhile.
_LONG_CALLS = frozenset(("attach", "cache", "get_path", "load", "scan"))
_CLIENT = "warmset-python 0.1.0"


class _Lost(Exception):
    """The connection broke; what was said on it may not have arrived."""


class _Held:
    """What a lease covers, and where it was granted. Compared by identity."""

    def __init__(
        self,
        attached: Message,
        fds: Sequence[int],
        connection: int,
        daemon_pid: int,
        tensors: Sequence[str] = (),
    ) -> None:
        self.lease = int(attached.get("lease", 0))
        self.nbytes = int(attached.get("bytes", 0))
        self.model: str = attached.get("model", "")
        self.component: str = attached.get("component", "")
        self.device: str = attached.get("device", "")
        self.tensors = tensors  # empty: all
        self.memory = _first_chunk(attached, fds)
        self.connection = connection
        self.daemon_pid = daemon_pid
        self.ended: Optional[Message] = None  # the error that the daemon ended it with


class Lease:
    """Gives itself back when the last reference goes. Never blocks."""

    def __init__(self, channel: Channel, held: _Held) -> None:
        self._channel = channel
        self._held = held

    def check(self) -> None:
        """Raises what the daemon said when it ended the lease, if it did."""
        self._channel._check(self._held)

    def __del__(self, finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not finalizing():  # then the socket's end says it all
            self._channel._give_back(self._held)


class Reply(NamedTuple):
    message: Message
    fds: List[int]
    lease: Optional[Lease]  # of an attached component


class Channel:
    """Thread-safe: one call at a time, the others wait."""

    def __init__(self, path: str, timeout: float = 10.0, silence: float = 60.0) -> None:
        """See connect() for the two: a daemon that is stopped must not stop its clients."""
        self._path = path
        self._timeout = timeout
        self._silence = silence
        self._closed = False
        self._gone: Deque[_Held] = collections.deque()  # appended to without the lock
        self._lock = threading.Lock()
        # Guarded by _lock.
        self._caller: Optional[int] = None  # the thread that holds it for a call
        self._sock: Optional[socket.socket] = None
        self._patience = 0.0  # as it is set on _sock
        self._connection = 0  # counts connections
        self._daemon_pid = 0
        self._last_id = 0
        self._held: Set[_Held] = set()
        self._ended: Dict[int, Message] = {}  # leases of this connection, by events
        _channels.add(self)

    def call(
        self,
        name: str,
        arguments: Optional[Message] = None,
        fds: Sequence[int] = (),
        on_progress: Optional[ProgressCallback] = None,
    ) -> List[Reply]:
        """All replies, progress apart; descriptors and leases are the caller's.

        Connects if need be, and once more if the connection turns out broken.
        An exception from on_progress, or from a signal, ends the connection.
        """
        with self._exclusive():
            request = {name: arguments or {}}
            while True:
                fresh = self._sock is None
                sock = self._sock or self._open()
                try:
                    replies = self._exchange(sock, request, fds, on_progress)
                    tensors = request[name].get("tensors", ())
                    for said, _ in replies:
                        for warning in said.get("warnings", ()):
                            warnings.warn(warning, WarmsetWarning, stacklevel=4)
                    return [
                        Reply(said, got, self._lease(said, got, tensors)) for said, got in replies
                    ]
                except _Lost as error:
                    self._drop()
                    if fresh:
                        raise DaemonUnavailableError(
                            f"the daemon at {self._path} went away: {error.__cause__}"
                        ) from None

    def connect(self) -> None:
        """DaemonUnavailableError or VersionMismatchError when it can't be reached."""
        with self._exclusive():
            if self._sock is None:
                self._open()

    def close(self) -> None:
        """No more calls. The socket closes when the last lease is given back."""
        self._closed = True
        self._flush()

    def _lease(
        self, message: Message, fds: Sequence[int], tensors: Sequence[str]
    ) -> Optional[Lease]:
        attached = message.get("attached")
        if attached is None:
            return None
        held = _Held(attached, fds, self._connection, self._daemon_pid, tensors)
        held.ended = self._ended.get(held.lease)
        self._held.add(held)
        return Lease(self, held)

    def _check(self, held: _Held) -> None:
        if held.ended is None:
            self._take_events()
        if held.ended is not None:
            raise error_from_message(held.ended)

    def _take_events(self) -> None:
        """Reads what the daemon said between calls. A call at work does so itself."""
        if self._sock is None or not self._lock.acquire(blocking=False):
            return
        try:
            while self._sock is not None and _wire.is_readable(self._sock):
                message, fds = _wire.receive(self._sock)
                _wire.close_all(fds)
                if not self._note_event(message):
                    self._drop()  # its farewell: the next call connects anew
        except (OSError, EOFError, WarmsetError):
            self._drop()
        finally:
            self._lock.release()
        self._flush()

    def _note_event(self, message: Message) -> bool:
        """False for what is no event."""
        event = message.get("leases_ended")
        if int(message.get("id", 0)) or event is None:
            return False
        for lease in map(int, event.get("leases", ())):
            self._ended[lease] = event.get("why", {})
        for held in self._held:
            if held.connection == self._connection and held.ended is None:
                held.ended = self._ended.get(held.lease)
        return True

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        if self._caller == threading.get_ident():
            raise InvalidRequestError(
                "a session was called from within its own call (a progress callback or a "
                "signal handler): use another session there"
            )
        if self._closed:
            raise InvalidRequestError("the session is closed: connect() again")
        try:
            with self._lock:
                self._caller = threading.get_ident()
                try:
                    yield
                finally:
                    self._caller = None
        finally:
            self._flush()

    def _open(self) -> socket.socket:
        sock = _wire.connect(self._path, self._timeout)
        self._patience = self._timeout
        try:
            pid = _wire.peer_pid(sock)
            elsewhere = sum(held.nbytes for held in self._held if held.daemon_pid != pid)
            hello = {
                "protocol_major": _wire.PROTOCOL[0],
                "protocol_minor": _wire.PROTOCOL[1],
                "client": _CLIENT,
                "held_bytes": str(elsewhere),
            }
            [(reply, _)] = self._exchange(sock, {"hello": hello})
            major = int(reply.get("hello", {}).get("protocol_major", 0))
            if major != _wire.PROTOCOL[0]:
                raise VersionMismatchError(
                    f"the daemon speaks protocol {major}, this package {_wire.PROTOCOL[0]}: "
                    "update the older one"
                )
            self._sock = sock
            self._connection += 1
            self._ended = {}
            self._daemon_pid = pid
            self._lease_again(sock)
        except BaseException as error:
            self._sock = None
            sock.close()
            if isinstance(error, _Lost):
                raise DaemonUnavailableError(
                    f"the daemon at {self._path} does not answer: {error.__cause__}"
                ) from None
            raise
        return sock

    def _lease_again(self, sock: socket.socket) -> None:
        for held in list(self._held):
            if held.connection == self._connection or held.daemon_pid != self._daemon_pid:
                continue
            arguments = {
                "model": held.model,
                "components": [held.component],
                "device": held.device,
                "tensors": list(held.tensors),
            }
            try:
                # An attach that would load from disk again is of no use here.
                if not held.device and not self._is_cached(sock, held.model, held.component):
                    continue
                replies = self._exchange(sock, {"attach": arguments})
            except WarmsetError:
                continue
            for message, fds in replies:
                again = _Held(message.get("attached", {}), fds, self._connection, self._daemon_pid)
                _wire.close_all(fds)
                if again.memory == held.memory:
                    held.lease, held.connection = again.lease, again.connection
                else:
                    self._gone.append(again)

    def _is_cached(self, sock: socket.socket, model: str, component: str) -> bool:
        [(message, _)] = self._exchange(sock, {"get_model_detail": {"name": model}})
        return any(
            state.get("name") == component and state.get("cache_state") == "CACHED"
            for state in message.get("detail", {}).get("components", ())
        )

    def _exchange(
        self,
        sock: socket.socket,
        request: Message,
        fds: Sequence[int] = (),
        on_progress: Optional[ProgressCallback] = None,
    ) -> List[Tuple[Message, List[int]]]:
        """One request and its replies; raises the daemon's error. _Lost: drop the connection.

        Any other exception than the daemon's error drops it, too: the rest of
        the replies would be taken for another call's.
        """
        self._last_id += 1
        patience = self._timeout if _LONG_CALLS.isdisjoint(request) else self._silence
        if patience != self._patience:
            _wire.set_timeout(sock, patience)
            self._patience = patience
        replies: List[Tuple[Message, List[int]]] = []
        try:
            try:
                _wire.send(sock, {"id": str(self._last_id), **request}, fds)
            except BlockingIOError:
                raise self._timed_out() from None
            except OSError as error:
                raise _Lost from error
            more = True
            while more:
                try:
                    message, got = _wire.receive(sock)
                except BlockingIOError:
                    raise self._timed_out() from None
                except (OSError, EOFError) as error:
                    raise _Lost from error
                if self._note_event(message):
                    _wire.close_all(got)
                    continue
                replies.append((message, got))
                more = bool(message.get("more"))
                if int(message.get("id", 0)) != self._last_id:
                    raise WarmsetError("the daemon answered another request than was made")
                if "progress" in message:
                    replies.pop()
                    _wire.close_all(got)
                    if on_progress:
                        on_progress(decode(Progress, message["progress"]))
            if not replies:
                raise WarmsetError("the daemon answered with nothing but progress")
        except BaseException:
            for _, got in replies:
                _wire.close_all(got)
            if sock is self._sock:
                self._drop()
            raise

        refused = replies[-1][0].get("error")
        if refused is not None:
            for message, got in replies:
                if "attached" in message:
                    held = _Held(message["attached"], got, self._connection, self._daemon_pid)
                    self._gone.append(held)
                _wire.close_all(got)
            raise error_from_message(refused)
        return replies

    def _timed_out(self) -> DaemonTimeoutError:
        return DaemonTimeoutError(
            f"the daemon at {self._path} was silent for {self._patience:g} s; it may be stopped "
            "or busy: look at its log, then ask again"
        )

    def _drop(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    # Giving back. These three run in finalisers.

    def _give_back(self, held: _Held) -> None:
        self._gone.append(held)
        self._flush()

    def _flush(self) -> None:
        # What is appended while another holds the lock is that one's to flush:
        # it comes here after releasing it.
        while (self._gone or self._may_close()) and self._lock.acquire(blocking=False):
            try:
                if not self._send_releases():
                    return
            finally:
                self._lock.release()

    def _send_releases(self) -> bool:
        """False when the socket is full: the next flush tries again."""
        while self._gone:
            batch = [self._gone.popleft() for _ in range(min(len(self._gone), 64))]
            leases = [str(held.lease) for held in batch if held.connection == self._connection]
            if leases and self._sock is not None:
                self._last_id += 1
                data = _wire.encode({"id": str(self._last_id), "release": {"leases": leases}})
                try:
                    sent = self._sock.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                except BlockingIOError:
                    self._gone.extendleft(reversed(batch))
                    return False
                except OSError:
                    sent = 0
                if sent != len(data):
                    self._drop()
            self._held.difference_update(batch)
        if self._may_close():
            self._drop()
        return True

    def _may_close(self) -> bool:
        return self._closed and self._sock is not None and not self._held

    def __del__(self) -> None:
        self._drop()

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()
        self._caller = None
        self._drop()
        self._held.difference_update(self._gone)
        self._gone.clear()


def _first_chunk(attached: Message, fds: Sequence[int]) -> Tuple[int, int]:
    """Which memory it is: device and inode of the first chunk; (0, 0) without one."""
    chunks = attached.get("chunks")
    fd = int(chunks[0].get("fd", 0)) if chunks else len(fds)
    if fd >= len(fds):
        return 0, 0
    found = os.fstat(fds[fd])
    return found.st_dev, found.st_ino


_channels: weakref.WeakSet[Channel] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for channel in list(_channels):
        channel._after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)

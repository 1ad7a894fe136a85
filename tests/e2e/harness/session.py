"""A client of the wire format, docs/formats/wire.md, that can also be made to lie."""

import json
import os
import socket
import struct
import time

HEADER = struct.Struct("<IBBH")  # payload bytes, encoding, descriptors, flags
JSON = 1
PATIENCE = 60.0


class Refused(Exception):
    """The daemon answered with an error."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error.get('message', '')}")
        self.code = error["code"]
        self.message = error.get("message", "")
        self.candidates = error.get("candidates", [])


class Attached:
    """A component that a session has attached, readable until the session closes."""

    def __init__(self, message, fds):
        self.lease = message["lease"]
        self.bytes = int(message["bytes"])
        self._chunks = [(fds[int(chunk.get("fd", 0))], int(chunk["bytes"]))
                        for chunk in message["chunks"]]

    def read(self):
        """All of its bytes."""
        content = b"".join(os.pread(fd, size, 0) for fd, size in self._chunks)
        return content[:self.bytes]

    @property
    def inodes(self):
        """What tells its memory from other memory."""
        return tuple(os.fstat(fd).st_ino for fd, _ in self._chunks)


class Session:
    """One connection. Closes what it received when it is closed."""

    def __init__(self, path, hello=True, held_bytes=0, minor=0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._buffer, self._id = b"", 0
        self._fds = []  # that belong to frames still to come
        self._received = []
        try:
            # Python's own timeout would make connect() fail where the listener's queue is full.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                                   struct.pack("ll", int(PATIENCE), 0))
            self.socket.connect(str(path))
            self.socket.settimeout(PATIENCE)
            if hello:
                self.hello = self.call("hello", protocol_major=1, protocol_minor=minor, client="e2e",
                                       held_bytes=held_bytes)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.socket.close()
        for fd in self._received:
            os.close(fd)
        self._received.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, call, arguments=None, fds=(), request=None):
        """Sends a request and does not wait. Returns its id."""
        self._id += 1
        number = self._id if request is None else request
        payload = json.dumps({"id": number, call: arguments or {}}).encode()
        self.send_raw(HEADER.pack(len(payload), JSON, len(fds), 0) + payload, fds)
        return number

    def send_raw(self, data, fds=()):
        sent = socket.send_fds(self.socket, [data], list(fds)) if fds else 0
        self.socket.sendall(data[sent:])

    def receive(self):
        """The next response, (message, descriptors); EOFError where the daemon has left."""
        self._fill(HEADER.size)
        length, encoding, count, flags = HEADER.unpack(self._buffer[:HEADER.size])
        assert (encoding, flags) == (JSON, 0)
        self._fill(HEADER.size + length)
        payload = self._buffer[HEADER.size:HEADER.size + length]
        self._buffer = self._buffer[HEADER.size + length:]
        assert len(self._fds) >= count
        fds, self._fds = self._fds[:count], self._fds[count:]
        return json.loads(payload), fds

    def _fill(self, size):
        while len(self._buffer) < size:
            data, fds, _, _ = socket.recv_fds(self.socket, 1 << 16, 253)
            self._fds += fds
            self._received += fds
            if not data:
                raise EOFError
            self._buffer += data

    def responses(self, number, on_progress=None):
        """All responses to a request, progress apart: [(message, descriptors)].

        A daemon that gives signs of life and no answer is a hang, too.
        """
        found = []
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            assert time.monotonic() < deadline, f"request {number} is not answered"
            message, fds = self.receive()
            if int(message.get("id", 0)) != number:
                continue
            if "error" in message:
                raise Refused(message["error"])
            if "progress" in message:
                if on_progress:
                    on_progress(message["progress"])
            else:
                found.append((message, fds))
            if not message.get("more"):
                return found

    def call(self, call, /, **arguments):
        """The result's message of a call that has one and carries no descriptors."""
        message = self.responses(self.send(call, arguments))[-1][0]
        results = [value for key, value in message.items() if key not in ("id", "more")]
        return results[0] if results else {}

    def attach(self, model="", fds=(), **arguments):
        """The components that it brings, as a list of Attached."""
        return self.attached(self.send("attach", {"model": model, **arguments}, fds))

    def attached(self, number):
        """The answer to an attach that was sent."""
        return [Attached(message["attached"], fds) for message, fds in self.responses(number)]

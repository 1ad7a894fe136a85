"""From the daemon's answer to an Attach to mapped memory."""

from __future__ import annotations

import os
from typing import List, Sequence, Tuple

from . import _memory, _wire
from ._channel import Reply
from ._closing import Closing
from ._index import TensorIndex
from .errors import WarmsetError
from .model import Component


class Attachment(Closing):
    """One leased component, before it is mapped; what was mapped stays."""

    def __init__(self, reply: Reply) -> None:
        """Takes the descriptors over, also when it raises."""
        self._fds = reply.fds
        self._lease = reply.lease
        try:
            attached = reply.message["attached"]
            self.model: str = attached.get("model", "")
            self.name: str = attached.get("component", "")
            self.type: str = attached.get("type", "")
            self.device: str = attached.get("device", "")
            self._chunks = [
                (self._fds[int(chunk.get("fd", 0))], int(chunk.get("bytes", 0)))
                for chunk in attached.get("chunks", ())
            ]
            # Of a passed file that was asked for with file_runs: where in it, where in the
            # memory, how many bytes.
            self.file_runs: List[Tuple[int, int, int]] = [
                (
                    int(run.get("file_offset", 0)),
                    int(run.get("offset", 0)),
                    int(run.get("bytes", 0)),
                )
                for run in attached.get("file_runs", ())
            ]
            blob = _read(self._fds[int(attached.get("index_fd", 0))])
            self.index = TensorIndex(blob, sum(nbytes for _, nbytes in self._chunks))
        except BaseException as error:
            self.close()
            if isinstance(error, (KeyError, IndexError)):
                raise WarmsetError(f"the daemon's answer lacks something: {error!r}") from error
            raise

    def map(self, writable: bool) -> Component:
        """A mapping of its own each time: writes in one are not seen in another."""
        buffer = self.map_memory(writable)
        check = self._lease.check if self._lease is not None else None
        return Component(
            self.name, self.type, self.device, self.index, buffer, not writable, check
        )

    def map_memory(self, writable: bool) -> memoryview:
        """All of its memory, likewise; see Memory.buffer() for `writable`."""
        return _memory.map_chunks(self._chunks, writable, self._lease).buffer()

    def close(self) -> None:
        _wire.close_all(self._fds)
        self._fds = []


class Attachments(List[Attachment], Closing):
    """What one request attached."""

    def close(self) -> None:
        for attachment in self:
            attachment.close()


def attachments(replies: Sequence[Reply]) -> Attachments:
    """Takes the replies' descriptors over, also when it raises."""
    made = Attachments()
    try:
        for reply in replies:
            made.append(Attachment(reply))
    except BaseException:
        made.close()
        for reply in replies[len(made) + 1 :]:
            _wire.close_all(reply.fds)
        raise
    return made


def _read(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    parts: List[bytes] = []
    offset = 0
    while offset < size:
        part = os.pread(fd, size - offset, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)

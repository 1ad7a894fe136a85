"""A passed file's bytes in warm RAM, by their place in the file."""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from ._closing import Closing
from ._serving import attach_file, channel


class _Run(NamedTuple):
    begin: int  # in the file
    end: int
    buffer: memoryview  # the bytes from begin on


class FileMemory(Closing):
    """What the daemon has of a file that is open here: all of it where the file is one
    component, else what its components hold. Views keep the memory mapped after close().
    """

    def __init__(self, fd: int, filename: str, writable: bool) -> None:
        """Raises as attach_file() does. Without `writable`, writes to views end the process."""
        self._runs: List[_Run] = []
        with attach_file(channel(), fd, filename, file_runs=True) as made:
            for attachment in made:
                memory = attachment.map_memory(writable)
                for file_offset, offset, nbytes in attachment.file_runs:
                    part = memory[offset : offset + nbytes]
                    self._runs.append(_Run(file_offset, file_offset + nbytes, part))

    def view(self, begin: int, end: int) -> Optional[memoryview]:
        """The file's bytes [begin, end); None unless they lie in one piece of memory."""
        for run in self._runs:
            if run.begin <= begin and end <= run.end:
                return run.buffer[begin - run.begin : end - run.begin]
        return None

    def close(self) -> None:
        self._runs = []

"""gguf.GGUFReader's view of a file, served from warm RAM."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._closing import opened
from ._file_memory import FileMemory
from ._serving import is_off, serve
from .errors import WarmsetError

if TYPE_CHECKING:
    import numpy


class NotServedError(WarmsetError, ValueError):
    """WARMSET=require, and the daemon did not serve the file; `code` says why."""


class Numpy:
    """numpy as gguf.gguf_reader sees it: a file that it maps for reading lies in warm RAM."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def memmap(self, filename: Any, *rest: Any, **options: Any) -> numpy.memmap[Any, Any]:
        if is_off() or rest or options != {"mode": "r"}:
            return self._plain.memmap(filename, *rest, **options)  # type: ignore[no-any-return]
        return serve(
            "gguf",
            os.fspath(filename),
            lambda: self._serve(os.fspath(filename)),
            lambda: self._plain.memmap(filename, mode="r"),
            NotServedError,
        )

    def _serve(self, filename: str) -> numpy.memmap[Any, Any]:
        with opened(filename) as fd, FileMemory(fd, filename, writable=False) as memory:
            view = memory.view(0, os.fstat(fd).st_size)
        if view is None:
            raise WarmsetError(f"{filename} lies in several parts in RAM", "unsupported_format")
        array = self._plain.frombuffer(view.toreadonly(), "uint8").view(self._plain.memmap)
        # With these, slices of it are memmaps too.
        array._mmap, array.filename, array.offset, array.mode = view, filename, 0, "r"
        return array  # type: ignore[no-any-return]

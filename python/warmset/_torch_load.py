"""`torch.load` of checkpoints, served from warm RAM.

torch's own weights-only unpickler reads the file's pickle and makes every object;
only the storages' bytes come from the daemon, by their place in the file. So what
comes out is what torch makes of the file, whatever is in it. Writes stay private
to this process, as with safetensors.

Served is `torch.load(f, map_location, weights_only=True, mmap=...)` of a zip
archive, where f is a path or a file opened by open(f, "rb"), and map_location is
None or the CPU. Everything else goes to torch as it is.
"""

from __future__ import annotations

import functools
import io
import mmap
import os
import sys
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, Dict, Optional

from ._file_memory import FileMemory
from ._serving import NotForUs, is_off, serve
from .errors import WarmsetError

if TYPE_CHECKING:
    import torch

_ZIP_MAGIC = b"PK\x03\x04"
_FORCED = ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")


class NotServedError(WarmsetError, RuntimeError):
    """WARMSET=require, and the daemon did not serve the checkpoint; `code` says why."""


@functools.lru_cache(maxsize=None)
def wrap(plain: Callable[..., Any]) -> Callable[..., Any]:
    """In place of torch.load, which is `plain`."""

    @functools.wraps(plain)
    def load(f: Any, map_location: Any = None, *rest: Any, **options: Any) -> Any:
        if rest or not _may_serve(map_location, options):
            return plain(f, map_location, *rest, **options)
        return serve(
            "torch",
            _name_of(f),
            lambda: _serve(f, map_location, options),
            lambda: plain(f, map_location, **options),
            NotServedError,
        )

    load.by_warmset = True  # type: ignore[attr-defined]
    return load


def _may_serve(map_location: Any, options: Dict[str, Any]) -> bool:
    import torch

    return (
        not is_off()
        and options.keys() <= {"pickle_module", "weights_only", "mmap"}
        and options.get("pickle_module") is None
        and _is_weights_only(options.get("weights_only"))
        and (map_location is None or map_location in ("cpu", torch.device("cpu")))
        # With MAP_SHARED, writes go to the file.
        and _mmap_flags() == mmap.MAP_PRIVATE
        and sys.byteorder == "little"
    )


def _is_weights_only(given: Optional[bool]) -> bool:
    import torch

    if given is not None:
        return given is True
    default = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 6)
    return default and not any(name in os.environ for name in _FORCED)


def _mmap_flags() -> int:
    from torch import serialization

    get: Optional[Callable[[], int]] = getattr(serialization, "get_default_mmap_options", None)
    return mmap.MAP_PRIVATE if get is None else get()


def _name_of(f: Any) -> str:
    name = getattr(f, "name", f)
    return os.fsdecode(name) if isinstance(name, (str, bytes, os.PathLike)) else "a file"


def _open(f: Any, options: Dict[str, Any]) -> BinaryIO:
    """A file of our own, at its begin."""
    if isinstance(f, (str, os.PathLike)):
        if os.fspath(f).endswith(".safetensors"):  # torch gives these to safetensors
            raise NotForUs
        try:
            return open(f, "rb")
        except OSError:
            raise NotForUs from None
    is_plain = type(f) is io.BufferedReader and type(f.raw) is io.FileIO
    if not is_plain or options.get("mmap") or f.tell() != 0:
        raise NotForUs
    return os.fdopen(os.dup(f.fileno()), "rb")


def _serve(f: Any, map_location: Any, options: Dict[str, Any]) -> Any:
    from torch import serialization

    with _open(f, options) as file:
        if os.pread(file.fileno(), len(_ZIP_MAGIC), 0) != _ZIP_MAGIC:
            raise NotForUs
        # A descriptor of ours may share its position with the caller's.
        own = io.BufferedReader(_At(file.fileno()))
        if not _has_storages(own):
            raise NotForUs
        own.seek(0)
        # torch.load's own parts, there since torch 2.1.
        with serialization._open_zipfile_reader(own) as reader:
            if serialization._is_torchscript_zip(reader):  # type: ignore[no-untyped-call]
                raise NotForUs
            with FileMemory(file.fileno(), _name_of(f), writable=True) as memory:
                return serialization._load(  # type: ignore[no-untyped-call]
                    reader,
                    map_location,
                    serialization._weights_only_unpickler,  # type: ignore[attr-defined]
                    # With mmap=True it is a mapping of the file.
                    overall_storage=_Storages(memory, file.fileno()),
                    encoding="utf-8",
                )


def _has_storages(file: BinaryIO) -> bool:
    """As torch writes them: /data/KEY, and nothing is compressed."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile:
        return False
    return any("/data/" in entry.filename for entry in entries) and all(
        entry.compress_type == zipfile.ZIP_STORED for entry in entries
    )


class _At(io.RawIOBase):
    """Reads a descriptor by offset, so that its own position stays."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._fd).st_size}
        self._at = start[whence] + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        read = os.preadv(self._fd, [buffer], self._at)
        self._at += read
        return read


class _Storages:
    """The file's bytes as torch slices them: a storage for each piece."""

    def __init__(self, memory: FileMemory, fd: int) -> None:
        self._memory = memory
        self._fd = fd

    def __getitem__(self, piece: slice) -> torch.UntypedStorage:
        import torch

        begin, end = piece.start, piece.stop
        if begin == end:
            return torch.empty(0, dtype=torch.uint8).untyped_storage()
        view = self._memory.view(begin, end)
        if view is None:  # of a model of several parts: what no part needs
            view = memoryview(bytearray(end - begin))
            self._read(begin, view)
        return torch.frombuffer(view, dtype=torch.uint8).untyped_storage()

    def _read(self, begin: int, destination: memoryview) -> None:
        done = 0
        while done < len(destination):
            got = os.preadv(self._fd, [destination[done:]], begin + done)
            if got == 0:
                raise EOFError(f"the file ends at offset {begin + done}")
            done += got

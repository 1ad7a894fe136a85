"""Maps sealed memory that the daemon passed, and keeps it mapped while anyone can see it.

A `Memory` owns one address range. Whoever exports bytes of it holds the buffer
that `Memory.buffer()` made, the buffer holds the Memory, and the Memory holds
its lease. So the range is unmapped, and then the lease given back, exactly
when the last tensor is gone; nothing else unmaps it.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import stat
import sys
from typing import Any, Sequence, Tuple

from .errors import CorruptedModelError, RamLimitExceededError

_HUGE_PAGE = 2 << 20
_MAP_FIXED = 0x10  # <sys/mman.h> on Linux, x86-64 and aarch64; `mmap` does not name these
_MAP_NORESERVE = 0x4000
_PROT_NONE = 0
_MAP_FAILED = ctypes.c_void_p(-1).value

_F_GET_SEALS = 1034  # <linux/fcntl.h>; named by `fcntl` only where the headers had it
_SEAL_SHRINK = 0x2
_SEAL_WRITE = 0x8
_SEAL_FUTURE_WRITE = 0x10

_libc = ctypes.CDLL(None, use_errno=True)
_mmap = _libc.mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_munmap = _libc.munmap
_munmap.restype = ctypes.c_int
_munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


class Memory:
    """An address range, unmapped when the object goes. Usable from any thread."""

    def __init__(self, address: int, nbytes: int, owner: object) -> None:
        self._address = address
        self.nbytes = nbytes
        self._mapped = _page_aligned(nbytes)
        self._owner = owner

    def buffer(self) -> memoryview:
        """All bytes, with a format of "B"; keeps the memory mapped.

        It says that it is writable also where the mapping is not: wrap it with
        toreadonly() before it reaches a user.
        """
        array: Any = (ctypes.c_ubyte * self.nbytes).from_address(self._address)
        array.memory = self
        return memoryview(array).cast("B")

    def __del__(self, munmap: Any = _munmap, finalizing: Any = sys.is_finalizing) -> None:
        # Defaults, because module globals may be gone at interpreter exit, where
        # the kernel unmaps everything anyway.
        if self._mapped and not finalizing():
            munmap(self._address, self._mapped)


def map_chunks(chunks: Sequence[Tuple[int, int]], writable: bool, owner: object) -> Memory:
    """Maps (descriptor, bytes) pairs privately, one after another, 2 MiB aligned.

    Writes are copied on write and seen by nobody else; without `writable` they
    fault. `owner` lives as long as the memory. The descriptors stay open and
    the caller's. CorruptedModelError for memory that could still change or
    shrink, RamLimitExceededError where the system gives no address space.
    """
    total = 0
    for number, (fd, nbytes) in enumerate(chunks):
        _check_read_only(fd, nbytes)
        if number + 1 < len(chunks) and nbytes % mmap.PAGESIZE:
            raise CorruptedModelError(f"chunk {number} of {nbytes} bytes does not end with a page")
        total += nbytes
    if total == 0:
        # An address that nobody reads, so that empty tensors have one.
        return Memory(ctypes.addressof(_nothing), 0, owner)

    address = _reserve(_page_aligned(total))
    memory = Memory(address, total, owner)
    prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    for fd, nbytes in chunks:
        if nbytes:
            _map(address, nbytes, prot, mmap.MAP_PRIVATE | _MAP_FIXED | _MAP_NORESERVE, fd)
        address += nbytes
    return memory


_nothing = ctypes.c_ubyte()


def _check_read_only(fd: int, nbytes: int) -> None:
    """Of other memory, a page could vanish (SIGBUS) or change under a reader."""
    try:
        seals = fcntl.fcntl(fd, _F_GET_SEALS)
    except OSError as error:
        raise CorruptedModelError(f"the daemon passed memory without seals: {error}") from None
    sealed = seals & _SEAL_SHRINK and seals & (_SEAL_WRITE | _SEAL_FUTURE_WRITE)
    if not sealed and not _is_guarded(fd):
        raise CorruptedModelError(f"the daemon passed memory that is not sealed (seals {seals:#x})")
    if os.fstat(fd).st_size < nbytes:
        raise CorruptedModelError(
            f"the daemon passed {os.fstat(fd).st_size} bytes of memory and said {nbytes}"
        )


def _is_guarded(fd: int) -> bool:
    """A file of `warmset path`: nobody may write it, and the daemon withdraws it from
    whoever does so nevertheless. It can't be sealed, as it has a name."""
    mode = os.fstat(fd).st_mode
    read_only = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    return stat.S_ISREG(mode) and not mode & 0o222 and read_only


def _page_aligned(nbytes: int) -> int:
    return -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE


def _reserve(nbytes: int) -> int:
    """An inaccessible range that starts at a multiple of 2 MiB, so that huge pages fit."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    start = _map(None, nbytes + _HUGE_PAGE, _PROT_NONE, flags, -1)
    aligned = -(-start // _HUGE_PAGE) * _HUGE_PAGE
    if aligned > start:
        _munmap(start, aligned - start)
    _munmap(aligned + nbytes, start + _HUGE_PAGE - aligned)
    return aligned


def _map(address: Any, nbytes: int, prot: int, flags: int, fd: int) -> int:
    result = _mmap(address, nbytes, prot, flags, fd, 0)
    if result == _MAP_FAILED or result is None:
        reason = os.strerror(ctypes.get_errno())
        raise RamLimitExceededError(f"can't map {nbytes} bytes of model memory: {reason}")
    return int(result)

"""Reads the tensor index that the daemon hands out: docs/formats/tensor-index.md.

Parsing makes one pass over the records, for their names. The rest of a record
is checked when its tensor is first asked for, so that attaching to thousands
of tensors costs little, and no tensor can lead out of the memory it lies in.
"""

from __future__ import annotations

import math
import struct
from typing import Dict, List, NamedTuple, Sequence, Tuple

from ._dtypes import DTYPES, DType
from .errors import CorruptedModelError, UnsupportedFormatError, VersionMismatchError

_HEADER = struct.Struct("<IHH7Q")
_RECORD = struct.Struct("<IIHHIQQ")
_PAIR = struct.Struct("<IIII")
_MAGIC = 0x58495357
_VERSION = 1
_MAX_RANK = 64

_Record = Tuple[int, int, int, int, int, int, int]


class TensorRecord(NamedTuple):
    dtype: DType
    shape: Tuple[int, ...]
    offset: int  # in the component's memory
    nbytes: int


class TensorIndex:
    """The tensors of one component, by name, in the file's order. Immutable."""

    def __init__(self, blob: bytes, memory_bytes: int) -> None:
        """`memory_bytes`: how much memory the tensors may lie in."""
        if len(blob) < _HEADER.size:
            raise _corrupt("no whole header", 0)
        magic, version, header_bytes, tensors, pairs, data_bytes, *rest = _HEADER.unpack_from(blob)
        dims_at, dims, pairs_at, strings_at = rest
        if magic != _MAGIC:
            raise _corrupt("wrong magic", 0)
        if version != _VERSION:
            raise VersionMismatchError(
                f"tensor index version {version}, this program knows {_VERSION}: "
                "update the warmset package"
            )
        size = len(blob)
        if header_bytes != _HEADER.size:
            raise _corrupt("wrong header size", 6)
        if _HEADER.size + tensors * _RECORD.size > size:
            raise _corrupt("tensor count", 8)
        if data_bytes > memory_bytes:
            raise _corrupt("more memory than was passed", 24)
        if dims_at % 8 or dims_at + dims * 8 > size:
            raise _corrupt("dims", 32)
        if pairs_at + pairs * _PAIR.size > size:
            raise _corrupt("metadata", 48)
        if strings_at > size:
            raise _corrupt("strings", 56)

        self._memory_bytes = data_bytes
        self._dims_at = dims_at
        self._dims = dims
        self._blob = blob
        strings = blob[strings_at:]
        records_end = _HEADER.size + tensors * _RECORD.size
        records = list(_RECORD.iter_unpack(blob[_HEADER.size : records_end]))
        numbers = {record[2] for record in records}
        unknown = numbers - DTYPES.keys()
        if unknown:
            raise UnsupportedFormatError(
                f"dtype number {min(unknown)} is not known to this version of the warmset package"
            )
        self.dtypes = tuple(DTYPES[number] for number in numbers)
        names = _texts(strings, [record[:2] for record in records])
        self._records: Dict[str, _Record] = dict(zip(names, records))
        if len(self._records) != tensors:
            raise _corrupt("two tensors of one name", 8)
        metadata = list(_PAIR.iter_unpack(blob[pairs_at : pairs_at + pairs * _PAIR.size]))
        self.metadata: Dict[str, str] = dict(
            zip(
                _texts(strings, [pair[:2] for pair in metadata]),
                _texts(strings, [pair[2:] for pair in metadata]),
            )
        )

    def names(self) -> Tuple[str, ...]:
        return tuple(self._records)

    def place_of(self, name: str) -> Tuple[int, int]:
        """Offset and bytes, unchecked: for ordering only."""
        return self._records[name][5:]

    def record(self, name: str) -> TensorRecord:
        """KeyError for a name that is not there, CorruptedModelError for a record that lies."""
        _, _, number, rank, first_dim, offset, nbytes = self._records[name]
        if rank > _MAX_RANK or first_dim + rank > self._dims:
            raise _corrupt(f"shape of {name!r}", self._dims_at)
        shape = struct.unpack_from(f"<{rank}Q", self._blob, self._dims_at + 8 * first_dim)
        dtype = DTYPES[number]
        blocks, rest = divmod(math.prod(shape), dtype.block_elements)
        if rest or blocks * dtype.block_bytes != nbytes:
            raise _corrupt(f"size of {name!r}", offset)
        if offset + nbytes > self._memory_bytes:
            raise _corrupt(f"range of {name!r}", offset)
        return TensorRecord(dtype, shape, offset, nbytes)


def _texts(strings: bytes, places: Sequence[Tuple[int, int]]) -> List[str]:
    """The strings at (offset, bytes)."""
    if any(offset + size > len(strings) for offset, size in places):
        raise _corrupt("string outside", len(strings))
    if strings.isascii():  # decoded once, for all
        text = strings.decode("ascii")
        return [text[offset : offset + size] for offset, size in places]
    try:
        return [strings[offset : offset + size].decode() for offset, size in places]
    except UnicodeDecodeError:
        raise _corrupt("string that is not UTF-8", len(strings)) from None


def _corrupt(what: str, offset: int) -> CorruptedModelError:
    return CorruptedModelError(f"tensor index: {what} at offset {offset}")

"""Reads the tensor index that the daemon hands out: docs/formats/tensor-index.md.

Parsing makes one pass over the records, for their names. The rest of a record
is checked when its tensor is first asked for, so that attaching to thousands
of tensors costs little, and no tensor can lead out of the memory it lies in.
"""

from __future__ import annotations

import struct
from typing import Dict, NamedTuple, Tuple

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
        self._strings = blob[strings_at:]
        self._records: Dict[str, _Record] = {}
        records = memoryview(blob)[_HEADER.size : _HEADER.size + tensors * _RECORD.size]
        for number, record in enumerate(_RECORD.iter_unpack(records)):
            if record[2] not in DTYPES:
                raise UnsupportedFormatError(
                    f"tensor {number} has dtype number {record[2]}, "
                    "which this version of the warmset package does not know"
                )
            self._records[self._text(record[0], record[1])] = record
        if len(self._records) != tensors:
            raise _corrupt("two tensors of one name", 8)
        metadata = memoryview(blob)[pairs_at : pairs_at + pairs * _PAIR.size]
        self.metadata: Dict[str, str] = {
            self._text(key_at, key_bytes): self._text(value_at, value_bytes)
            for key_at, key_bytes, value_at, value_bytes in _PAIR.iter_unpack(metadata)
        }

    def _text(self, offset: int, size: int) -> str:
        if offset + size > len(self._strings):
            raise _corrupt("string", offset)
        try:
            return self._strings[offset : offset + size].decode()
        except UnicodeDecodeError:
            raise _corrupt("string that is not UTF-8", offset) from None

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
        bits = dtype.bits
        for dim in shape:
            bits *= dim
        if bits != nbytes * 8:
            raise _corrupt(f"size of {name!r}", offset)
        if offset + nbytes > self._memory_bytes:
            raise _corrupt(f"range of {name!r}", offset)
        return TensorRecord(dtype, shape, offset, nbytes)


def _corrupt(what: str, offset: int) -> CorruptedModelError:
    return CorruptedModelError(f"tensor index: {what} at offset {offset}")

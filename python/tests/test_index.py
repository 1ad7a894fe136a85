"""A tensor index that lies leads nowhere."""

from __future__ import annotations

import random

import pytest

import index_encoder
from warmset import CorruptedModelError, UnsupportedFormatError, VersionMismatchError, WarmsetError
from warmset._index import TensorIndex

ENTRIES = [
    ("a.weight", "F32", [2, 3], 64, 24),
    ("b", "BF16", [], 88, 2),
    ("c", "F4", [2, 4], 90, 4),
    ("d", "I64", [0, 7], 94, 0),
]
BLOB = index_encoder.encode(ENTRIES, {"format": "pt", "note": "ü"}, 94)


def test_reads_what_was_written() -> None:
    index = TensorIndex(BLOB, 94)
    assert index.names() == ("a.weight", "b", "c", "d")
    assert index.metadata == {"format": "pt", "note": "ü"}
    for name, dtype, shape, offset, nbytes in ENTRIES:
        record = index.record(name)
        assert (record.dtype.name, record.offset, record.nbytes) == (dtype, offset, nbytes)
        assert record.shape == tuple(shape)
    with pytest.raises(KeyError):
        index.record("nope")


@pytest.mark.parametrize(
    "entry",
    [
        ("x", "F32", [2, 3], 80, 24),  # beyond the memory
        ("x", "F32", [2, 3], (1 << 64) - 8, 24),
        ("x", "F32", [2, 3], 0, 20),  # bytes and shape differ
        ("x", "F32", [1 << 62, 4], 0, 0),  # a product that wraps at 64 bits
        ("x", "F4", [3], 0, 1),  # half a byte
        ("x", "Q4_0", [16], 0, 9),  # half a block
        ("x", "U2", [6], 0, 2),
    ],
)
def test_lying_records(entry: index_encoder.Entry) -> None:
    with pytest.raises(CorruptedModelError):
        TensorIndex(index_encoder.encode([entry], {}, 94), 94).record("x")


def test_lying_headers() -> None:
    with pytest.raises(CorruptedModelError, match="no whole header"):
        TensorIndex(BLOB[:63], 94)
    with pytest.raises(CorruptedModelError, match="magic"):
        TensorIndex(b"x" + BLOB[1:], 94)
    with pytest.raises(CorruptedModelError, match="more memory"):
        TensorIndex(BLOB, 93)
    with pytest.raises(VersionMismatchError, match="version 2"):
        TensorIndex(BLOB[:4] + b"\2" + BLOB[5:], 94)
    with pytest.raises(UnsupportedFormatError, match="dtype number 99"):
        TensorIndex(BLOB[:72] + b"\x63" + BLOB[73:], 94)
    with pytest.raises(CorruptedModelError, match="one name"):
        TensorIndex(index_encoder.encode([ENTRIES[0], ENTRIES[0]], {}, 94), 94)


def test_broken_indexes_never_lead_outside() -> None:
    random_ = random.Random(5)
    for _ in range(3000):
        blob = bytearray(BLOB[: random_.choice((len(BLOB), random_.randrange(len(BLOB))))])
        for _ in range(random_.randrange(1, 4)):
            if blob:
                at = random_.randrange(len(blob))
                blob[at] = random_.choice((0, 1, 0x7F, 0xFF, random_.randrange(256)))
        try:
            index = TensorIndex(bytes(blob), 94)
        except WarmsetError:
            continue
        for name in index.names():
            try:
                record = index.record(name)
            except CorruptedModelError:
                continue
            assert 0 <= record.offset and record.offset + record.nbytes <= 94

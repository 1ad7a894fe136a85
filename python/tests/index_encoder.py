"""Writes tensor indexes for tests, from its own reading of docs/formats/tensor-index.md."""

from __future__ import annotations

import json
import struct
from typing import Dict, List, Sequence, Tuple

NUMBERS = {
    name: number
    for number, name in enumerate(
        "? BOOL U8 I8 U16 I16 F16 BF16 U32 I32 F32 U64 I64 F64 C64 F8_E4M3 F8_E5M2 F8_E8M0 "
        "F8_E4M3FNUZ F8_E5M2FNUZ F6_E2M3 F6_E3M2 F4 C128 U4 I4 U2 I2 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q8_1 "
        "Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S IQ2_S IQ4_XS "
        "IQ1_M TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0".split()
    )
}

# Name, dtype, shape, offset, bytes.
Entry = Tuple[str, str, Sequence[int], int, int]


def encode(entries: Sequence[Entry], metadata: Dict[str, str], data_bytes: int) -> bytes:
    strings = b""

    def add(text: str) -> Tuple[int, int]:
        nonlocal strings
        raw = text.encode()
        at = len(strings)
        strings += raw
        return at, len(raw)

    dims: List[int] = []
    records = b""
    for name, dtype, shape, offset, nbytes in entries:
        at, size = add(name)
        records += struct.pack(
            "<IIHHIQQ", at, size, NUMBERS[dtype], len(shape), len(dims), offset, nbytes
        )
        dims += shape
    pairs = b"".join(
        struct.pack("<IIII", *add(key), *add(value)) for key, value in metadata.items()
    )
    dims_at = 64 + len(records)
    pairs_at = dims_at + 8 * len(dims)
    header = struct.pack(
        "<IHH7Q",
        0x58495357,
        1,
        64,
        len(entries),
        len(metadata),
        data_bytes,
        dims_at,
        len(dims),
        pairs_at,
        pairs_at + len(pairs),
    )
    return header + records + struct.pack(f"<{len(dims)}Q", *dims) + pairs + strings


def entries_of_safetensors(content: bytes) -> Tuple[List[Entry], Dict[str, str]]:
    """Offsets count from the file's first byte."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    entries: List[Entry] = []
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        entries.append((name, tensor["dtype"], tensor["shape"], 8 + size + begin, end - begin))
    return entries, metadata

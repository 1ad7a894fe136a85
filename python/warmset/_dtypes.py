"""Element types: their numbers in the tensor index, and what numpy, torch and DLPack call them.

numpy, ml_dtypes and torch are imported when a tensor is asked for, never before.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Optional, Tuple

from .errors import UnsupportedFormatError

if TYPE_CHECKING:
    import numpy
    import torch


class DType(NamedTuple):
    name: str  # as safetensors spells it
    bits: int  # of one element
    numpy: Optional[str]  # in numpy, or in ml_dtypes; None: neither packs it the same way
    torch: Optional[str]
    dlpack: Optional[int]  # DLDataTypeCode of dlpack.h 1.1


# The numbers are part of docs/formats/tensor-index.md.
DTYPES: Dict[int, DType] = {
    1: DType("BOOL", 8, "bool_", "bool", 6),
    2: DType("U8", 8, "uint8", "uint8", 1),
    3: DType("I8", 8, "int8", "int8", 0),
    4: DType("U16", 16, "uint16", "uint16", 1),
    5: DType("I16", 16, "int16", "int16", 0),
    6: DType("F16", 16, "float16", "float16", 2),
    7: DType("BF16", 16, "bfloat16", "bfloat16", 4),
    8: DType("U32", 32, "uint32", "uint32", 1),
    9: DType("I32", 32, "int32", "int32", 0),
    10: DType("F32", 32, "float32", "float32", 2),
    11: DType("U64", 64, "uint64", "uint64", 1),
    12: DType("I64", 64, "int64", "int64", 0),
    13: DType("F64", 64, "float64", "float64", 2),
    14: DType("C64", 64, "complex64", "complex64", 5),
    15: DType("F8_E4M3", 8, "float8_e4m3fn", "float8_e4m3fn", 10),
    16: DType("F8_E5M2", 8, "float8_e5m2", "float8_e5m2", 12),
    17: DType("F8_E8M0", 8, "float8_e8m0fnu", "float8_e8m0fnu", 14),
    18: DType("F8_E4M3FNUZ", 8, "float8_e4m3fnuz", "float8_e4m3fnuz", 11),
    19: DType("F8_E5M2FNUZ", 8, "float8_e5m2fnuz", "float8_e5m2fnuz", 13),
    20: DType("F6_E2M3", 6, None, None, None),
    21: DType("F6_E3M2", 6, None, None, None),
    22: DType("F4", 4, None, "float4_e2m1fn_x2", None),
}


@functools.lru_cache(maxsize=None)
def numpy_dtype(dtype: DType) -> numpy.dtype[Any]:
    """UnsupportedFormatError when numpy, with ml_dtypes if it is installed, lacks the type."""
    import numpy as np

    found = getattr(np, dtype.numpy, None) if dtype.numpy else None
    if found is None and dtype.numpy:
        try:
            import ml_dtypes
        except ImportError:
            raise UnsupportedFormatError(
                f"numpy has no {dtype.numpy}: install ml_dtypes, or use .torch()"
            ) from None
        found = getattr(ml_dtypes, dtype.numpy, None)
    if found is None:
        raise UnsupportedFormatError(f"numpy has no type for {dtype.name}: use .memoryview()")
    result: numpy.dtype[Any] = np.dtype(found)
    return result


@functools.lru_cache(maxsize=None)
def torch_dtype(dtype: DType) -> torch.dtype:
    """UnsupportedFormatError when this version of torch lacks the type."""
    import torch

    found = getattr(torch, dtype.torch, None) if dtype.torch else None
    if found is None:
        raise UnsupportedFormatError(
            f"torch {torch.__version__} has no type for {dtype.name}: use .memoryview()"
        )
    return found  # type: ignore[no-any-return]


def torch_shape(dtype: DType, shape: Tuple[int, ...]) -> Tuple[int, ...]:
    """torch counts F4 in pairs: the last dimension is half as long."""
    if dtype.bits != 4:
        return shape
    if not shape or shape[-1] % 2:
        raise UnsupportedFormatError(f"torch packs F4 in pairs, the shape {shape} is odd")
    return (*shape[:-1], shape[-1] // 2)


assert sys.byteorder == "little", "safetensors data is little-endian"

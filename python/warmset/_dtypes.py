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
    name: str  # as safetensors spells it, or ggml
    block_elements: int  # the fewest that are stored together
    block_bytes: int
    numpy: Optional[str]  # in numpy, or in ml_dtypes; None: neither packs it the same way
    torch: Optional[str]
    dlpack: Optional[int]  # DLDataTypeCode of dlpack.h 1.1

    @property
    def item_bytes(self) -> int:
        """Of one item of an array over the memory: an element, or a byte of packed ones."""
        return self.block_bytes if self.block_elements == 1 else 1


def _plain(name: str, item_bytes: int, numpy: str, dlpack: int) -> DType:
    """One that numpy and torch give the same name."""
    torch = "bool" if numpy == "bool_" else numpy
    return DType(name, 1, item_bytes, numpy, torch, dlpack)


def _quantized(name: str, block_elements: int, block_bytes: int) -> DType:
    """Blocks of ggml's, which are bytes to everybody else."""
    return DType(name, block_elements, block_bytes, "uint8", "uint8", 1)


# The numbers are part of docs/formats/tensor-index.md.
DTYPES: Dict[int, DType] = {
    1: _plain("BOOL", 1, "bool_", 6),
    2: _plain("U8", 1, "uint8", 1),
    3: _plain("I8", 1, "int8", 0),
    4: _plain("U16", 2, "uint16", 1),
    5: _plain("I16", 2, "int16", 0),
    6: _plain("F16", 2, "float16", 2),
    7: _plain("BF16", 2, "bfloat16", 4),
    8: _plain("U32", 4, "uint32", 1),
    9: _plain("I32", 4, "int32", 0),
    10: _plain("F32", 4, "float32", 2),
    11: _plain("U64", 8, "uint64", 1),
    12: _plain("I64", 8, "int64", 0),
    13: _plain("F64", 8, "float64", 2),
    14: _plain("C64", 8, "complex64", 5),
    15: _plain("F8_E4M3", 1, "float8_e4m3fn", 10),
    16: _plain("F8_E5M2", 1, "float8_e5m2", 12),
    17: _plain("F8_E8M0", 1, "float8_e8m0fnu", 14),
    18: _plain("F8_E4M3FNUZ", 1, "float8_e4m3fnuz", 11),
    19: _plain("F8_E5M2FNUZ", 1, "float8_e5m2fnuz", 13),
    20: DType("F6_E2M3", 4, 3, None, None, None),
    21: DType("F6_E3M2", 4, 3, None, None, None),
    22: DType("F4", 2, 1, None, "float4_e2m1fn_x2", None),
    23: _plain("C128", 16, "complex128", 5),
    24: DType("U4", 2, 1, None, None, None),
    25: DType("I4", 2, 1, None, None, None),
    26: DType("U2", 4, 1, None, None, None),
    27: DType("I2", 4, 1, None, None, None),
    28: _quantized("Q4_0", 32, 18),
    29: _quantized("Q4_1", 32, 20),
    30: _quantized("Q5_0", 32, 22),
    31: _quantized("Q5_1", 32, 24),
    32: _quantized("Q8_0", 32, 34),
    33: _quantized("Q8_1", 32, 36),
    34: _quantized("Q2_K", 256, 84),
    35: _quantized("Q3_K", 256, 110),
    36: _quantized("Q4_K", 256, 144),
    37: _quantized("Q5_K", 256, 176),
    38: _quantized("Q6_K", 256, 210),
    39: _quantized("Q8_K", 256, 292),
    40: _quantized("IQ2_XXS", 256, 66),
    41: _quantized("IQ2_XS", 256, 74),
    42: _quantized("IQ3_XXS", 256, 98),
    43: _quantized("IQ1_S", 256, 50),
    44: _quantized("IQ4_NL", 32, 18),
    45: _quantized("IQ3_S", 256, 110),
    46: _quantized("IQ2_S", 256, 82),
    47: _quantized("IQ4_XS", 256, 136),
    48: _quantized("IQ1_M", 256, 56),
    49: _quantized("TQ1_0", 256, 54),
    50: _quantized("TQ2_0", 256, 66),
    51: _quantized("MXFP4", 32, 17),
    52: _quantized("NVFP4", 64, 36),
    53: _quantized("Q1_0", 128, 18),
    54: _quantized("Q2_0", 64, 18),
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
        raise UnsupportedFormatError(
            f"numpy has no type for packed {dtype.name}: use .memoryview(), which is its bytes"
        )
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


def array_shape(dtype: DType, shape: Tuple[int, ...]) -> Tuple[int, ...]:
    """Of an array over the memory: with packed elements, the last dimension counts bytes.

    So do torch's float4_e2m1fn_x2 and gguf-py's arrays of quantised blocks.
    UnsupportedFormatError where a row is no whole number of blocks.
    """
    if dtype.block_elements == 1:
        return shape
    if not shape or shape[-1] % dtype.block_elements:
        raise UnsupportedFormatError(
            f"{dtype.name} is packed in blocks of {dtype.block_elements}, which the rows of the "
            f"shape {shape} are not made of: use .memoryview()"
        )
    return (*shape[:-1], shape[-1] // dtype.block_elements * dtype.block_bytes)


assert sys.byteorder == "little", "safetensors data is little-endian"

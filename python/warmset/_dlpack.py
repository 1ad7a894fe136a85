"""DLPack capsules over any memory and dtype.

The capsule's deleter may run in any thread, with an exception pending, or
after the interpreter's end, where a deleter written in Python would crash. So
numpy or torch, whose deleters are native, make the capsule over items of the
same size, and the dtype is then set in it.
"""

from __future__ import annotations

import builtins
import ctypes
import sys
from typing import Any, Dict, Optional, Tuple

from ._dtypes import DType, array_shape
from .errors import ReadOnlyError, UnsupportedFormatError

CPU = (1, 0)  # kDLCPU of dlpack.h

# Where DLTensor.dtype (u8 code, u8 bits, u16 lanes) lies, by the capsule's name.
_DTYPE_OFFSET = {b"dltensor": 20, b"dltensor_versioned": 52}

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype = ctypes.c_int
_is_valid.argtypes = (ctypes.py_object, ctypes.c_char_p)


def make_capsule(
    view: builtins.memoryview,
    dtype: DType,
    shape: Tuple[int, ...],
    max_version: Optional[Tuple[int, int]],
    copy: bool,
) -> Any:
    """A versioned capsule if max_version allows one, else a legacy one.

    ReadOnlyError for read-only memory in a legacy capsule, which can't say so.
    """
    if dtype.dlpack is None:
        raise UnsupportedFormatError(f"DLPack has no packed {dtype.name}: use .memoryview()")
    versioned: Dict[str, Any] = {}
    if max_version is not None and max_version >= (1, 0):
        versioned["max_version"] = max_version
    elif view.readonly and not copy:
        raise ReadOnlyError("a legacy DLPack capsule can't carry read-only memory")

    exporter = _exporter(view, dtype.item_bytes, array_shape(dtype, shape), copy)
    try:
        capsule = exporter.__dlpack__(**versioned)
    except TypeError:  # numpy before 2.1 and old torch know only legacy capsules
        capsule = exporter.__dlpack__()
    for name, offset in _DTYPE_OFFSET.items():
        if _is_valid(capsule, name):
            code = ctypes.c_uint8.from_address(_pointer(capsule, name) + offset)
            code.value = dtype.dlpack
    return capsule


def _exporter(
    view: builtins.memoryview, item_bytes: int, shape: Tuple[int, ...], copy: bool
) -> Any:
    """An array of items of that size over the memory, or over a copy of it."""
    # None in sys.modules: an import that is known to fail.
    if sys.modules.get("numpy") is None and "torch" in sys.modules:
        import torch

        if view.readonly and not copy:
            raise ReadOnlyError("torch has no read-only tensors: install numpy")
        integers = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
        item = integers.get(item_bytes, torch.complex128)  # no integer has 16 bytes
        if not view.nbytes:
            return torch.empty(shape, dtype=item)
        source = bytearray(view) if copy else view
        return torch.frombuffer(source, dtype=item).view(shape)

    try:
        import numpy as np
    except ImportError:
        raise UnsupportedFormatError("DLPack export needs numpy or torch") from None
    kind = "c16" if item_bytes == 16 else f"u{item_bytes}"
    array: Any = np.ndarray(shape, np.dtype(kind), buffer=view)
    return array.copy() if copy else array

"""Tensors of every dtype of the tensor index, over plain memory."""

from __future__ import annotations

import pathlib
import re
from typing import Tuple

import numpy as np
import pytest
import torch

import index_encoder
import warmset
from warmset import _dtypes
from warmset._index import TensorIndex
from warmset.model import Component, Tensor

MEMORY = bytearray(range(256)) * 16
PACKED = ("F4", "F6_E2M3", "F6_E3M2", "U4", "I4", "U2", "I2")
QUANTIZED = [dtype for number, dtype in _dtypes.DTYPES.items() if number >= 28]


def tensor_of(dtype: str, shape: Tuple[int, ...], nbytes: int) -> Tensor:
    blob = index_encoder.encode([("t", dtype, shape, 64, nbytes)], {}, len(MEMORY))
    index = TensorIndex(blob, len(MEMORY))
    return Component("model", "model", "", index, memoryview(MEMORY), False)["t"]


def test_numbers_and_blocks_are_those_of_the_daemon() -> None:
    assert {dtype.name: number for number, dtype in _dtypes.DTYPES.items()} == {
        name: number for name, number in index_encoder.NUMBERS.items() if number
    }
    page = pathlib.Path(__file__).parents[2] / "docs/formats/tensor-index.md"
    rows = re.findall(r"^\| (\d+) \| (\w+) \| (\d+) \| (\d+) \|$", page.read_text(), re.M)
    assert [(int(n), name, int(elements), int(size)) for n, name, elements, size in rows] == [
        (number, dtype.name, dtype.block_elements, dtype.block_bytes)
        for number, dtype in _dtypes.DTYPES.items()
    ]


@pytest.mark.parametrize("dtype", QUANTIZED, ids=lambda dtype: str(dtype.name))
def test_quantized_blocks_are_bytes_by_rows(dtype: _dtypes.DType) -> None:
    row = 2 * dtype.block_bytes
    tensor = tensor_of(dtype.name, (3, 2 * dtype.block_elements), 3 * row)
    assert tensor.dtype == dtype.name
    assert tensor.shape == (3, 2 * dtype.block_elements)
    assert tensor.nbytes == 3 * row
    array = tensor.numpy()
    assert array.dtype == np.uint8 and array.shape == (3, row)
    assert array.tobytes() == bytes(MEMORY[64 : 64 + 3 * row])
    for exported in (tensor.torch(), torch.from_dlpack(tensor)):
        assert exported.dtype == torch.uint8 and exported.shape == (3, row)
        assert exported.numpy().tobytes() == array.tobytes()
        assert exported.data_ptr() == array.ctypes.data


def test_quantized_blocks_of_nothing() -> None:
    tensor = tensor_of("Q4_K", (5, 0), 0)
    assert tensor.numpy().shape == tensor.torch().shape == (5, 0)


def test_complex128() -> None:
    tensor = tensor_of("C128", (2, 3), 96)
    assert tensor.numpy().dtype == np.complex128
    for exported in (tensor.torch(), torch.from_dlpack(tensor)):
        assert exported.dtype == torch.complex128 and exported.shape == (2, 3)
        assert exported.numpy().tobytes() == tensor.memoryview()


@pytest.mark.parametrize("dtype", PACKED)
def test_packed_elements_are_bytes_only(dtype: str) -> None:
    row = _dtypes.DTYPES[index_encoder.NUMBERS[dtype]]
    tensor = tensor_of(dtype, (2, row.block_elements), 2 * row.block_bytes)
    assert tensor.memoryview() == MEMORY[64 : 64 + 2 * row.block_bytes]
    with pytest.raises(warmset.UnsupportedFormatError, match="memoryview"):
        tensor.numpy()
    with pytest.raises(warmset.UnsupportedFormatError, match="memoryview"):
        tensor.__dlpack__()
    if dtype == "F4":
        assert tensor.torch().shape == (2, 1)
        return
    with pytest.raises(warmset.UnsupportedFormatError, match="memoryview"):
        tensor.torch()


def test_rows_that_are_no_whole_blocks() -> None:
    tensor = tensor_of("Q4_0", (2, 16), 18)  # no GGUF file has it, and an index may
    with pytest.raises(warmset.UnsupportedFormatError, match="blocks of 32"):
        tensor.numpy()
    assert tensor.memoryview().nbytes == 18

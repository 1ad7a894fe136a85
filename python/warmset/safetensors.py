"""`load_file` and `safe_open` of the safetensors package, served from warm RAM.

    from warmset.safetensors import load_file, safe_open

They take, return and raise what safetensors' own do; when the daemon can't serve
a file, safetensors itself does (_serving.py). A file whose bytes the daemon can't
read raises OSError.
"""

from __future__ import annotations

import json
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, List, NoReturn, Optional, Type, Union

from safetensors._safetensors_rust import SafetensorError
from safetensors._safetensors_rust import safe_open as plain_safe_open

from ._closing import opened
from ._dtypes import torch_dtype
from ._serving import attach_file, channel, is_off, serve
from ._slicing import numpy_slice
from .errors import UnsupportedFormatError, WarmsetError, WarmsetWarning
from .model import Component, Tensor

if TYPE_CHECKING:
    import numpy
    import torch

__all__ = ["SafetensorError", "WarmsetWarning", "load_file", "load_file_numpy", "safe_open"]

Filename = Union[str, "os.PathLike[str]"]

_TORCH = ("pt", "torch", "pytorch")
_NUMPY = ("np", "numpy")

class NotServedError(WarmsetError, SafetensorError):  # type: ignore[misc]
    """WARMSET=require, and the daemon did not serve the file; `code` says why."""


def load_file(
    filename: Filename, device: Union[str, int] = "cpu", **options: Any
) -> Dict[str, torch.Tensor]:
    """In place of safetensors.torch.load_file."""
    return _load(filename, "pt", device=device, **options)


def load_file_numpy(filename: Filename, **options: Any) -> Dict[str, numpy.ndarray[Any, Any]]:
    """In place of safetensors.numpy.load_file."""
    return _load(filename, "np", **options)


def _load(filename: Filename, framework: str, **options: Any) -> Dict[str, Any]:
    with safe_open(filename, framework, **options) as f:
        if hasattr(f, "get_tensors"):
            tensors: Dict[str, Any] = f.get_tensors()
            return tensors
        return {name: f.get_tensor(name) for name in f.keys()}  # old safetensors


class safe_open:
    """In place of safetensors.safe_open; where that must serve, calling this returns its object.

    Tensors of one `safe_open` share memory with each other as safetensors' own
    do for torch, and are copies for numpy, except those of get_tensors().
    Writes are private. Thread-safe.
    """

    def __new__(
        cls, filename: Filename, framework: str, device: Any = "cpu", **options: Any
    ) -> Any:
        if not _may_serve(filename, framework, options):
            return plain_safe_open(filename, framework, device, **options)
        if device not in (None, "cpu"):
            # Its name is checked, and refused, as safetensors does.
            plain_safe_open(filename, framework, device, **options)
        self = object.__new__(cls)
        return serve(
            "safetensors",
            os.fspath(filename),
            lambda: self._attach(os.fspath(filename), framework, device),
            lambda: plain_safe_open(filename, framework, device, **options),
            NotServedError,
        )

    def _attach(self, filename: str, framework: str, device: Any) -> Any:
        self._numpy = framework in _NUMPY
        self._device = None if device in (None, "cpu") else device
        self._closed = False
        connected = channel()  # first, because it fails fastest
        with opened(filename) as fd:
            with attach_file(connected, fd, filename) as made:
                if not self._numpy:
                    for index in (attachment.index for attachment in made):
                        for dtype in index.dtypes:
                            torch_dtype(dtype)  # or safetensors says what it thinks of it
                # Only copies are made of read-only memory: for numpy what
                # safetensors copies, and for devices because some drivers read
                # private writable memory slowly.
                shared = not self._numpy and self._device is None
                self._components = [attachment.map(writable=shared) for attachment in made]
                self._unused: List[List[Component]] = []  # for numpy's get_tensors()
                if self._numpy:
                    self._unused.append([attachment.map(writable=True) for attachment in made])
                parts = [attachment.index for attachment in made]
            self._home = {name: part for part, index in enumerate(parts) for name in index.names()}
            if len(parts) == 1:
                place = parts[0].place_of
                self._offset_keys = sorted(self._home, key=place)
            else:
                self._offset_keys = _names_by_offset(fd)
        self._metadata: Dict[str, str] = {}
        for index in parts:
            self._metadata.update(index.metadata)
        return self

    def __enter__(self) -> safe_open:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._closed = True
        self._components, self._unused = [], []

    def keys(self) -> List[str]:
        self._check_open()
        return sorted(self._home)

    def offset_keys(self) -> List[str]:
        self._check_open()
        return list(self._offset_keys)

    def metadata(self) -> Optional[Dict[str, str]]:
        self._check_open()
        return dict(self._metadata) or None

    def get_tensor(self, name: str) -> Any:
        return self.get_slice(name)._whole()

    def get_tensors(self) -> Dict[str, Any]:
        self._check_open()
        try:
            private = self._unused.pop()  # each of its bytes goes to one array only
        except IndexError:
            return {name: self.get_tensor(name) for name in self._offset_keys}
        return {name: _numpy_array(private[self._home[name]][name]) for name in self._offset_keys}

    def get_slice(self, name: str) -> Slice:
        if not isinstance(name, str):
            raise TypeError(
                f"argument 'name': '{type(name).__name__}' object is not an instance of 'str'"
            )
        self._check_open()
        part = self._home.get(name)
        if part is None:
            raise SafetensorError(f"File does not contain tensor {name}")
        return Slice(self._components[part], name, self._numpy, self._device)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("cannot pickle 'builtins.safe_open' object")  # safetensors' words

    def _check_open(self) -> None:
        if self._closed:
            raise SafetensorError("File is closed")


class Slice:
    """In place of safetensors' PySafeSlice."""

    def __init__(self, component: Component, name: str, numpy: bool, device: Any) -> None:
        self._tensor: Tensor = component[name]
        self._numpy = numpy
        self._device = device

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("cannot pickle 'builtins.PySafeSlice' object")

    def get_shape(self) -> List[int]:
        return list(self._tensor.shape)

    def get_dtype(self) -> str:
        return self._tensor.dtype

    def __getitem__(self, index: Any) -> Any:
        if self._numpy:
            return numpy_slice(_numpy_array(self._tensor), index)
        return self._placed(self._tensor.torch_unchecked()[index])

    def _whole(self) -> Any:
        if self._numpy:
            return _numpy_array(self._tensor).copy()
        return self._placed(self._tensor.torch_unchecked())

    def _placed(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if self._device is None else tensor.to(device=self._device)


def _numpy_array(tensor: Tensor) -> numpy.ndarray[Any, Any]:
    try:
        return tensor.numpy()
    except UnsupportedFormatError as error:
        raise TypeError(str(error)) from None  # as numpy itself answers safetensors


def _may_serve(filename: object, framework: object, options: Dict[str, Any]) -> bool:
    return (
        not is_off()
        and isinstance(filename, (str, os.PathLike))
        and framework in _TORCH + _NUMPY
        # How safetensors reads the file is of no concern when it is in RAM.
        and options in ({}, {"backend": "mmap"}, {"backend": "pread"})
    )


def _names_by_offset(fd: int) -> List[str]:
    """From the file's own header; the daemon has parsed it and found it good."""
    size = int.from_bytes(os.pread(fd, 8, 0), "little")
    header: Dict[str, Any] = json.loads(os.pread(fd, size, 8))
    header.pop("__metadata__", None)
    return sorted(header, key=lambda name: header[name]["data_offsets"])

"""An attached model: a mapping from names to tensors that lie in shared memory."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Mapping, NoReturn, Optional, Tuple

from . import _dlpack, _dtypes
from ._closing import Closing
from ._index import TensorIndex, TensorRecord
from .errors import InvalidRequestError, ReadOnlyError, TensorNotFoundError

if TYPE_CHECKING:  # by other names than the methods of Tensor
    import numpy as np
    import torch as pt


class Tensor:
    """A tensor in memory that the daemon handed out. Nothing is copied.

    What it exports (`numpy()`, `torch()`, `memoryview()`, DLPack) keeps the
    memory mapped, whatever becomes of this object, the model, the session and
    the daemon. Exports of one attached model share their bytes; other
    processes, and other attached models, never see a change.
    """

    __slots__ = ("name", "_record", "_buffer", "_readonly", "__weakref__")

    def __init__(
        self, name: str, record: TensorRecord, buffer: builtins.memoryview, readonly: bool
    ) -> None:
        self.name = name
        self._record = record
        self._buffer = buffer  # of the whole component
        self._readonly = readonly

    @property
    def dtype(self) -> str:
        """As safetensors spells it ("F32", "BF16", "F8_E4M3"), or ggml ("Q4_K")."""
        return self._record.dtype.name

    @property
    def shape(self) -> Tuple[int, ...]:
        """In elements, outermost first, also of quantised blocks."""
        return self._record.shape

    @property
    def nbytes(self) -> int:
        return self._record.nbytes

    def memoryview(self) -> builtins.memoryview:
        """The bytes, in row-major order."""
        begin = self._record.offset
        view = self._buffer[begin : begin + self._record.nbytes]
        return view.toreadonly() if self._readonly else view

    def numpy(self) -> np.ndarray[Any, Any]:
        """An array over the memory; not writeable with `writable=False`.

        BF16 and F8 need ml_dtypes. Quantised blocks are uint8: the last dimension
        counts bytes. UnsupportedFormatError for F4, F6, U4, I4, U2 and I2.
        """
        import numpy as np

        dtype = _dtypes.numpy_dtype(self._record.dtype)
        shape = _dtypes.array_shape(self._record.dtype, self.shape)
        if not self.nbytes:
            return np.empty(shape, dtype)
        # Unlike ndarray(buffer=), frombuffer keeps to the view's being read-only.
        return np.frombuffer(self.memoryview(), dtype).reshape(shape)

    def torch(self) -> pt.Tensor:
        """A tensor over the memory, in which in-place operations work.

        Quantised blocks are uint8, and F4 float4_e2m1fn_x2: the last dimension
        counts bytes. UnsupportedFormatError for F6, U4, I4, U2 and I2.
        ReadOnlyError with `writable=False`: torch has no read-only tensors, and
        a write would end the process.
        """
        if self._readonly:
            raise ReadOnlyError(
                "torch has no read-only tensors, and a write would end the process: attach "
                "with writable=True (writes stay private to this process), or use .numpy()"
            )
        return self.torch_unchecked()

    def torch_unchecked(self) -> pt.Tensor:
        """For who only reads the result: with `writable=False` a write ends the process."""
        import torch

        record = self._record
        dtype = _dtypes.torch_dtype(record.dtype)
        shape = _dtypes.array_shape(record.dtype, record.shape)
        if not record.nbytes:
            return torch.empty(shape, dtype=dtype)
        flat = torch.frombuffer(
            self._buffer, dtype=dtype, count=math.prod(shape), offset=record.offset
        )
        return flat.view(shape)

    def __array__(
        self, dtype: Optional[Any] = None, copy: Optional[bool] = None
    ) -> np.ndarray[Any, Any]:
        array: np.ndarray[Any, Any] = self.numpy()
        if dtype is not None and dtype != array.dtype:
            if copy is False:
                raise ValueError(f"{array.dtype} can't become {dtype} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(
        self,
        *,
        stream: Optional[Any] = None,
        max_version: Optional[Tuple[int, int]] = None,
        dl_device: Optional[Tuple[int, int]] = None,
        copy: Optional[bool] = None,
    ) -> Any:
        if stream is not None or dl_device not in (None, _dlpack.CPU):
            raise BufferError("the tensor is in RAM: no stream, and no other device than the CPU")
        record = self._record
        return _dlpack.make_capsule(
            self.memoryview(), record.dtype, record.shape, max_version, bool(copy)
        )

    def __dlpack_device__(self) -> Tuple[int, int]:
        return _dlpack.CPU

    def __buffer__(self, flags: int) -> builtins.memoryview:
        """From Python 3.12 on: memoryview(tensor)."""
        return self.memoryview()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a warmset.Tensor is a view: pickle or copy its .torch() or .numpy()")

    def __repr__(self) -> str:
        return f"<warmset.Tensor {self.name!r} {self.dtype} {list(self.shape)}>"


class Component(Mapping[str, Tensor]):
    """One part of a model ("unet", "vae", ...), or all of it ("model").

    Asking for a tensor raises CorruptedModelError once the daemon has found that the
    model's file is not what its name claims; tensors that were got before stay as they
    are.
    """

    def __init__(
        self,
        name: str,
        type: str,
        device: str,
        index: TensorIndex,
        buffer: builtins.memoryview,
        readonly: bool,
        check: Optional[Callable[[], None]] = None,
    ) -> None:
        self.name = name
        self.type = type
        self.device = device  # "" for RAM
        self._index = index
        self._buffer = buffer
        self._readonly = readonly
        self._check = check  # raises when its memory must not be used any more

    @property
    def nbytes(self) -> int:
        """Of its memory: its tensors and what lies between them."""
        return self._buffer.nbytes

    @property
    def metadata(self) -> Mapping[str, str]:
        return self._index.metadata

    def __getitem__(self, name: str) -> Tensor:
        if self._check is not None:
            self._check()
        try:
            record = self._index.record(name)
        except KeyError:
            raise TensorNotFoundError(f"{self.name!r} has no tensor {name!r}") from None
        return Tensor(name, record, self._buffer, self._readonly)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index.names())

    def __len__(self) -> int:
        return len(self._index.names())

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __repr__(self) -> str:
        return f"<warmset.Component {self.name!r}: {len(self)} tensors, {self.nbytes} bytes>"


class Model(Mapping[str, Tensor], Closing):
    """An attached model. Its memory stays mapped while it or any export lives.

    A tensor that several components have goes by "component/name"; that form
    finds every tensor. Thread-safe; useless, not dangerous, after close().
    """

    def __init__(self, name: str, components: Mapping[str, Component]) -> None:
        self.name = name
        self._components: Optional[Mapping[str, Component]] = dict(components)
        self._home: Optional[Dict[str, Tuple[Component, str]]] = None

    @property
    def components(self) -> Mapping[str, Component]:
        if self._components is None:
            raise InvalidRequestError(f"the model {self.name!r} is closed: attach it again")
        return self._components

    @property
    def metadata(self) -> Dict[str, str]:
        """What the files say in `__metadata__`."""
        merged: Dict[str, str] = {}
        for component in self.components.values():
            merged.update(component.metadata)
        return merged

    @property
    def nbytes(self) -> int:
        return sum(component.nbytes for component in self.components.values())

    def close(self) -> None:
        """Lets go of the memory; exported tensors keep it. May be called twice."""
        self._components = None
        self._home = None

    def __getitem__(self, name: str) -> Tensor:
        found = self._homes().get(name)
        if found is not None:
            return found[0][found[1]]
        part, slash, rest = name.partition("/")
        component = self.components.get(part)
        if slash and component is not None and rest in component:
            return component[rest]
        raise TensorNotFoundError(f"the model {self.name!r} has no tensor {name!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes())

    def __len__(self) -> int:
        return len(self._homes())

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def _homes(self) -> Dict[str, Tuple[Component, str]]:
        """By the name that keys() gives, which component has the tensor."""
        components = self.components
        homes = self._home
        if homes is None:
            seen: Dict[str, int] = {}
            for component in components.values():
                for name in component:
                    seen[name] = seen.get(name, 0) + 1
            homes = {
                (name if seen[name] == 1 else f"{component.name}/{name}"): (component, name)
                for component in components.values()
                for name in component
            }
            self._home = homes
        return homes

    def __repr__(self) -> str:
        if self._components is None:
            return f"<warmset.Model {self.name!r}, closed>"
        return f"<warmset.Model {self.name!r}: {', '.join(self._components)}>"

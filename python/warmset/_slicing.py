"""Indexing as safetensors' slices do it for numpy.

What safetensors refuses (lists, None, two ellipses, an index or a slice out of
bounds) is refused in its words. Where it fails for want of support, at negative
or reversed bounds and at empty tensors, this answers as numpy does.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, List, Optional, Tuple, Union

from safetensors._safetensors_rust import SafetensorError

if TYPE_CHECKING:
    import numpy

_Item = Union[int, slice]


def numpy_slice(array: numpy.ndarray[Any, Any], index: Any) -> numpy.ndarray[Any, Any]:
    """A copy, also of a single element."""
    import numpy as np

    return np.array(array[_items(index, array.shape)])


def _items(index: Any, shape: Tuple[int, ...]) -> Tuple[_Item, ...]:
    """One int or slice for each of the first dimensions."""
    if isinstance(index, list):
        if index:
            raise SafetensorError("Non empty lists are not implemented")
        index = slice(0, 0)
    given = index if isinstance(index, tuple) else (index,)
    if sum(item is Ellipsis for item in given) > 1:
        raise SafetensorError("Only one ellipsis (...) is allowed in slice index")

    items: List[_Item] = []
    for position, item in enumerate(given):
        if item is Ellipsis:
            items += [slice(None)] * (len(shape) - len(given) + 1)
        else:
            size = shape[len(items)] if len(items) < len(shape) else 0
            items.append(_item(position, item, len(items), size))
    if len(items) > len(shape):
        raise _refused(items, shape, "more slicing indexes than dimensions in tensor")
    for dimension in reversed(range(len(items))):  # the order in which safetensors looks
        item, size = items[dimension], shape[dimension]
        beyond = _beyond(item, size)
        if beyond is not None:
            raise _refused(
                items,
                shape,
                f"index {beyond} out of bounds for tensor dimension #{dimension} of size {size}",
            )
    return tuple(items)


def _beyond(item: _Item, size: int) -> Optional[int]:
    """The index that safetensors finds out of bounds."""
    if not isinstance(item, slice):
        return item if item >= size else None
    start = 0 if item.start is None else operator.index(item.start)
    stop = max(start, size) if item.stop is None else operator.index(item.stop)
    if start < 0 or stop < start:
        return None
    if start >= size and (start, stop) != (0, 0):
        return start
    return stop - 1 if stop > size else None


def _item(position: int, item: Any, dimension: int, size: int) -> _Item:
    """A slice, or an int that is not negative."""
    if isinstance(item, slice):
        if item.step is not None and operator.index(item.step) <= 0:
            raise SafetensorError(f"Slice step must be a positive integer, got {item.step}")
        return item
    try:
        number = operator.index(item)
    except TypeError:
        number = 1 << 31
    if not -(1 << 31) <= number < 1 << 31:
        raise SafetensorError(
            f"Unsupported slice index at position {position}: expected slice, int, or ellipsis"
        )
    if number < -size:
        raise SafetensorError(f"Invalid index {number} for dimension {dimension} of size {size}")
    return number if number >= 0 else number + size


def _refused(items: List[_Item], shape: Tuple[int, ...], why: str) -> SafetensorError:
    shown = ", ".join(_shown(item) for item in items)
    return SafetensorError(f"Error during slicing [{shown}] with shape {list(shape)}: {why}")


def _shown(item: _Item) -> str:
    if not isinstance(item, slice):
        return str(item)
    start, stop = ("" if bound is None else bound for bound in (item.start, item.stop))
    return f"{start}:{stop}" if item.step in (None, 1) else f"{start}:{stop}:{item.step}"

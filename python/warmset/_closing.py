"""What is closed at the end of `with`."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Any, Iterator, Optional, Type, TypeVar, Union

_Self = TypeVar("_Self", bound="Closing")


class Closing:
    """A base: `with` gives the object and calls its close()."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


@contextlib.contextmanager
def opened(path: Union[str, bytes, os.PathLike[Any]]) -> Iterator[int]:
    """A descriptor of the file for reading, to be passed to the daemon. OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)

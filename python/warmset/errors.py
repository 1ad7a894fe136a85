"""What can go wrong, by the daemon's stable codes (docs/errors.md)."""

from __future__ import annotations

import errno
from typing import Any, ClassVar, Dict, Mapping, Optional, Sequence, Type


class WarmsetError(Exception):
    """Any failure that Warmset reports. Catch a subclass, or look at `code`.

    `code` is stable across versions; the message names what failed, why, and
    what to do. `candidates` are the names that an ambiguous or unknown name
    may have meant, or models that may serve in place of one that can't be used.
    """

    default_code: ClassVar[str] = "internal"

    def __init__(
        self, message: str, code: Optional[str] = None, candidates: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.candidates = tuple(candidates)

    def __str__(self) -> str:
        return self.message


class WarmsetWarning(UserWarning):
    """It works, but not as Warmset should: the message says why."""


class ModelNotFoundError(WarmsetError, LookupError):
    default_code = "model_not_found"


class ComponentNotFoundError(WarmsetError, LookupError):
    default_code = "component_not_found"


class TensorNotFoundError(WarmsetError, KeyError):
    default_code = "tensor_not_found"


class AmbiguousNameError(WarmsetError, LookupError):
    default_code = "ambiguous_name"


class InvalidRequestError(WarmsetError, ValueError):
    default_code = "invalid_request"


class ReadOnlyError(InvalidRequestError, BufferError):
    """Read-only memory was asked for in a form that can be written to."""


class UnusableModelError(WarmsetError):
    """The model can't be used, whatever the reason; its verdict says which."""


class CorruptedModelError(UnusableModelError):
    default_code = "corrupted_model"


class FileChangedError(WarmsetError):
    default_code = "file_changed"


class ModelReadError(WarmsetError, OSError):
    """The disk or the network did not give a model's bytes: `errno` is EIO, `filename` the
    file where this process opened it, `offset` where in it."""

    default_code = "io_error"

    def __init__(
        self, message: str, code: Optional[str] = None, candidates: Sequence[str] = ()
    ) -> None:
        super().__init__(message, code, candidates)
        self.errno = errno.EIO
        self.filename: Optional[str] = None
        self.offset = 0


class IncompatibleModelError(UnusableModelError):
    """The model can't be used here, for other reasons than damage; each has a class."""

    default_code = "incompatible_model"


class UnsupportedFormatError(IncompatibleModelError):
    default_code = "unsupported_format"


class AccessRestrictedError(IncompatibleModelError):
    """The model's origin asks for a licence or a login."""

    default_code = "access_restricted"


class UnsafeModelError(IncompatibleModelError):
    """A file's usual loader would run code from it, or leave the model's folder."""

    default_code = "unsafe_model"


class IncompleteModelError(IncompatibleModelError):
    default_code = "incomplete_model"


class UnrecognizedFormatError(UnsupportedFormatError):
    default_code = "unrecognized_format"


class RamLimitExceededError(WarmsetError, MemoryError):
    default_code = "ram_limit_exceeded"


class InsufficientDeviceMemoryError(WarmsetError, MemoryError):
    default_code = "insufficient_device_memory"


class InUseError(WarmsetError):
    default_code = "in_use"


class VersionMismatchError(WarmsetError):
    default_code = "version_mismatch"


class DaemonUnavailableError(WarmsetError, ConnectionError):
    default_code = "daemon_unavailable"


class DaemonTimeoutError(DaemonUnavailableError, TimeoutError):
    """The daemon is there and does not answer; it may be stopped."""

    default_code = "timeout"


_BY_CODE: Dict[str, Type[WarmsetError]] = {
    kind.default_code: kind
    for kind in (
        ModelNotFoundError,
        ComponentNotFoundError,
        TensorNotFoundError,
        AmbiguousNameError,
        InvalidRequestError,
        CorruptedModelError,
        FileChangedError,
        IncompatibleModelError,
        UnsupportedFormatError,
        AccessRestrictedError,
        UnsafeModelError,
        IncompleteModelError,
        UnrecognizedFormatError,
        RamLimitExceededError,
        InsufficientDeviceMemoryError,
        InUseError,
        VersionMismatchError,
        DaemonUnavailableError,
        DaemonTimeoutError,
    )
}


def error_from_message(error: Mapping[str, Any]) -> WarmsetError:
    """From the wire's Error; plain WarmsetError for a code without a class of its own."""
    code = error.get("code", "internal")
    if code == ModelReadError.default_code and "offset" in error:
        failed = ModelReadError(error.get("message", ""))
        failed.offset = int(error["offset"])
        return failed
    return _BY_CODE.get(code, WarmsetError)(
        error.get("message", ""), code, error.get("candidates", ())
    )

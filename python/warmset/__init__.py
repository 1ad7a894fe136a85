"""Warmset: AI models kept warm in RAM, handed to any process without a copy.

    with warmset.connect() as ws, ws.attach("silero-vad") as model:
        t = model["encoder.0.weight"]      # dtype, shape; .numpy(), .torch(), __dlpack__

Existing programs: `import warmset.auto` first, or `warmset run -- CMD`.
"""

# Names are imported when they are first used, because `warmset.auto` passes here
# at the start of every Python process under `warmset run`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from .errors import (
        AccessRestrictedError,
        AmbiguousNameError,
        ComponentNotFoundError,
        CorruptedModelError,
        DaemonTimeoutError,
        DaemonUnavailableError,
        FileChangedError,
        IncompatibleModelError,
        IncompleteModelError,
        InsufficientDeviceMemoryError,
        InUseError,
        InvalidRequestError,
        ModelNotFoundError,
        ModelReadError,
        RamLimitExceededError,
        ReadOnlyError,
        TensorNotFoundError,
        UnrecognizedFormatError,
        UnsafeModelError,
        UnsupportedFormatError,
        UnusableModelError,
        VersionMismatchError,
        WarmsetError,
    )
    from .model import Component, Model, Tensor
    from .session import Session, connect
    from .states import (
        CacheResult,
        Compatibility,
        DaemonStatus,
        DeviceState,
        Finding,
        MemoryUse,
        ModelState,
        Progress,
        Skipped,
    )

__version__ = "0.1.0"

__all__ = [
    "AccessRestrictedError",
    "AmbiguousNameError",
    "CacheResult",
    "Compatibility",
    "Component",
    "ComponentNotFoundError",
    "CorruptedModelError",
    "DaemonStatus",
    "DaemonTimeoutError",
    "DaemonUnavailableError",
    "DeviceState",
    "FileChangedError",
    "Finding",
    "InUseError",
    "IncompatibleModelError",
    "IncompleteModelError",
    "InsufficientDeviceMemoryError",
    "InvalidRequestError",
    "MemoryUse",
    "Model",
    "ModelNotFoundError",
    "ModelReadError",
    "ModelState",
    "Progress",
    "RamLimitExceededError",
    "ReadOnlyError",
    "Session",
    "Skipped",
    "Tensor",
    "TensorNotFoundError",
    "UnrecognizedFormatError",
    "UnsafeModelError",
    "UnsupportedFormatError",
    "UnusableModelError",
    "VersionMismatchError",
    "WarmsetError",
    "connect",
]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in __all__:
        for home in ("session", "model", "states", "errors"):
            value: object = getattr(import_module(f".{home}", __name__), name, None)
            if value is not None:
                globals()[name] = value
                return value
    raise AttributeError(f"module 'warmset' has no attribute {name!r}")


def __dir__() -> "list[str]":
    return sorted({*globals(), *__all__})

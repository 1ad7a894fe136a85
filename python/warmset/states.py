"""What the daemon says about models and itself, as values."""

from __future__ import annotations

import dataclasses
from typing import Any, Mapping, Tuple, Type, TypeVar, get_type_hints

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class PlacedOn:
    device: str = ""
    bytes: int = 0


@dataclasses.dataclass(frozen=True)
class ModelState:
    name: str = ""
    id: str = ""
    bytes: int = 0  # of all weights on disk
    format: str = ""
    layout: str = ""  # "file", "sharded", "transformers", "diffusers", "ollama"
    kind: str = ""  # what it is: "checkpoint", "lora", "llm", ...
    architecture: str = ""  # "sdxl", "llama", ...; "": not known
    version: str = ""  # as its metadata or its tag say it
    revision: str = ""  # the hub's commit, or a digest of its files: new with every change
    verdict: str = ""  # "ok", or why it can't be used: "unsafe", "corrupt", ...
    cache_state: str = "uncached"  # or "caching", "cached", "partly_cached", "cache_error"
    cached_bytes: int = 0  # what of it is in RAM, in any form, as bytes on disk
    raw_bytes: int = 0  # what it takes in RAM in each form
    compressed_bytes: int = 0
    strategy: str = ""  # "speed", "memory", "balanced" or "adaptive"
    devices: Tuple[PlacedOn, ...] = ()
    leases: int = 0
    last_used_unix_ms: int = 0  # 0: never
    error_code: str = ""  # of the last failed cache or load
    # Whether its files are what their names claim: "verified", "unchecked" or
    # "mismatch"; "": no name claims anything.
    claim: str = ""
    claim_checked_unix_ms: int = 0  # 0: not yet


@dataclasses.dataclass(frozen=True)
class Progress:
    stage: str = ""  # "scan", "read", "copy"
    done: int = 0
    total: int = 0  # 0: unknown
    unit: str = ""  # "bytes" or "files"
    item: str = ""


@dataclasses.dataclass(frozen=True)
class Finding:
    category: str = ""  # "file_corruption", "unsafe_content", "device_memory", ...
    severity: str = ""  # "warning" or "error"
    message: str = ""  # the thing, the reason, and what to do
    path: str = ""  # relative to the model's folder; "": the model itself
    offset: int = 0
    verdict: str = ""


@dataclasses.dataclass(frozen=True)
class Compatibility:
    compatible: bool = False
    device: str = ""  # as it was understood
    reasons: Tuple[Finding, ...] = ()  # warnings too, the worst first
    alternatives: Tuple[ModelState, ...] = ()  # models that may serve instead


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A part of a model that `force` left out."""

    what: str = ""  # "file", "tensor" or "component"; "model": all of it
    name: str = ""
    category: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class CacheResult:
    state: ModelState = ModelState()
    loaded_bytes: int = 0  # read from disk by this call
    already_bytes: int = 0  # found in RAM
    huge_page_bytes: int = 0
    seconds: float = 0.0
    evicted: Tuple[str, ...] = ()  # what made room, "model/component"
    skipped: Tuple[Skipped, ...] = ()  # with force; the first 100
    skipped_total: int = 0


@dataclasses.dataclass(frozen=True)
class MemoryUse:
    """What takes the daemon's RAM, in bytes; the parts add up to what is in use."""

    limit: int = 0
    configured_limit: int = 0  # the limit is lower while the machine's memory is short
    entries: int = 0  # raw
    compressed: int = 0
    loading: int = 0
    reserve: int = 0  # touched memory that the next load takes
    orphaned: int = 0  # mapped by clients of an earlier daemon
    uncached_but_mapped: int = 0


@dataclasses.dataclass(frozen=True)
class DeviceState:
    id: str = ""
    backend: str = ""
    name: str = ""
    memory_limit: int = 0
    memory_used: int = 0
    shared_bytes: int = 0
    worker_state: str = ""
    worker_pid: int = 0
    worker_restarts: int = 0


@dataclasses.dataclass(frozen=True)
class DaemonStatus:
    version: str = ""
    pid: int = 0
    started_unix_ms: int = 0
    socket: str = ""
    roots: Tuple[str, ...] = ()
    models: int = 0
    memory: MemoryUse = MemoryUse()
    devices: Tuple[DeviceState, ...] = ()
    scanning: bool = False
    resident_anonymous_bytes: int = 0


def decode(kind: Type[_T], message: Mapping[str, Any]) -> _T:
    """A message in protobuf's JSON mapping: fields at their default may be
    absent, 64-bit integers are strings. Fields that `kind` lacks are ignored."""
    hints = get_type_hints(kind)
    values = {name: _value(hint, message[name]) for name, hint in hints.items() if name in message}
    if "cache_state" in values:  # an enum on the wire, in capitals
        values["cache_state"] = values["cache_state"].lower()
    return kind(**values)


def _value(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return decode(hint, value)  # type: ignore[arg-type]
    if getattr(hint, "__origin__", None) is tuple:
        return tuple(_value(hint.__args__[0], item) for item in value)
    return hint(value)

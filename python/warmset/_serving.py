"""What the loaders that stand in for a library's own have in common.

The daemon gets this process's open descriptor, so any file that can be read here
is served. Whenever it can't serve one, the library itself does, with one warning
per process and reason. The environment variable WARMSET says `off` (always the
library), `auto` (the default) or `require` (raise instead of falling back).
"""

from __future__ import annotations

import os
import stat
import threading
import time
import warnings
from typing import Callable, Dict, Set, Type, TypeVar

from ._attach import Attachments, attachments
from ._channel import Channel
from ._wire import socket_path
from .errors import (
    DaemonTimeoutError,
    IncompatibleModelError,
    ModelReadError,
    UnrecognizedFormatError,
    UnsupportedFormatError,
    WarmsetError,
    WarmsetWarning,
)

# Seconds: shorter than a session's, because the library itself is there to serve.
_TIMEOUT = 5.0
_SILENCE = 30.0
_PAUSE = 60.0


_Result = TypeVar("_Result")


def is_off() -> bool:
    return os.environ.get("WARMSET", "auto").lower() == "off"


def channel() -> Channel:
    """This thread's own connection, so that a long load in one holds up no other."""
    path = socket_path()
    if time.monotonic() < _silent_until.get(path, 0.0):
        raise DaemonTimeoutError(f"the daemon at {path} did not answer a moment ago")
    if getattr(_local, "channel", None) is None or _local.path != path:
        made = Channel(path, _TIMEOUT, _SILENCE)
        made.connect()
        _local.channel, _local.path = made, path
    connected: Channel = _local.channel
    return connected


def attach_file(
    connected: Channel, fd: int, filename: str, file_runs: bool = False
) -> Attachments:
    """The parts of an open file; ModelReadError names it when it can't be read."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise UnsupportedFormatError(f"{filename} is not a regular file")
    shown = os.fsencode(filename).decode(errors="replace")
    arguments = {"file": True, "file_path": shown, "file_runs": file_runs}
    try:
        return attachments(connected.call("attach", arguments, fds=[fd]))
    except ModelReadError as error:
        error.filename = filename
        raise


class NotForUs(Exception):
    """The library itself is to serve the file, and nothing is wrong."""


def serve(
    library: str,
    filename: str,
    ours: Callable[[], _Result],
    plain: Callable[[], _Result],
    required: Type[WarmsetError],
) -> _Result:
    """What `ours` gives, else what the library's own function `plain` gives or raises.

    The difference is one warning, or raised as `required` for WARMSET=require,
    unless the daemon has nothing to serve of a file that is whole. A file that can't be
    read raises ModelReadError: the library would map it, and a page of a mapping that
    can't be read ends the process.
    """
    try:
        return ours()
    except ModelReadError:
        raise
    except NotForUs:
        return plain()
    except Exception as error:
        served = plain()  # what the library can't serve either, it refuses in its own words
        _report(library, filename, error, required)
        return served


def _report(library: str, filename: str, error: Exception, required: Type[WarmsetError]) -> None:
    code = error.code if isinstance(error, WarmsetError) else type(error).__name__
    if code in _NOTHING_TO_SERVE:
        return
    if code == DaemonTimeoutError.default_code:
        # A program with many files must not wait for each of them.
        path, now = socket_path(), time.monotonic()
        if now >= _silent_until.get(path, 0.0):
            _silent_until[path] = now + _PAUSE
    if os.environ.get("WARMSET", "auto").lower() == "require":
        raise required(f"{filename}: {error} (WARMSET=require)", code) from error
    if code not in _warned:
        _warned.add(code)
        warnings.warn(
            f"{library} itself serves {filename}, not warmset: {error} [{code}]. "
            "Said once; WARMSET=off turns warmset off",
            WarmsetWarning,
            stacklevel=4,  # whoever called the library
        )


# Nothing is wrong with the file: it has no tensor whose bytes are its values, or none at all.
_NOTHING_TO_SERVE = (IncompatibleModelError.default_code, UnrecognizedFormatError.default_code)

_warned: Set[str] = set()
_silent_until: Dict[str, float] = {}  # by socket: when a daemon that was silent is asked again
_local = threading.local()

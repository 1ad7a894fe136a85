"""A session with the daemon."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from ._attach import attachments
from ._channel import Channel, ProgressCallback
from ._closing import Closing, opened
from ._wire import Message, socket_path
from .errors import WarmsetError, error_from_message
from .model import Model
from .states import CacheResult, Compatibility, DaemonStatus, ModelState, decode


def connect(socket: Optional[str] = None, timeout: float = 10.0, silence: float = 60.0) -> Session:
    """Connects to the daemon that listens at `socket`.

    Without it: $WARMSET_SOCKET, else $XDG_RUNTIME_DIR/warmset/warmset.sock, else
    /tmp/warmset-$UID/warmset.sock. DaemonUnavailableError when there is none.

    A call that the daemon does not answer for `timeout` seconds raises
    DaemonTimeoutError; attach(), cache() and path(), which may read from disk for
    long, when it shows no progress for `silence` seconds. 0: never.
    """
    channel = Channel(socket or socket_path(), timeout, silence)
    channel.connect()
    return Session(channel)


# A model by its name, or as a path object: the file itself, whatever its name.
ModelOrFile = Union[str, "os.PathLike[Any]"]


@contextlib.contextmanager
def _subject(model: ModelOrFile) -> Iterator[Tuple[Message, List[int]]]:
    """The fields of a request that say what it is about, and the descriptors with it."""
    if isinstance(model, str):
        yield {"model": model}, []
        return
    path = os.path.abspath(os.fsencode(model))
    with opened(path) as fd:
        yield {"file": True, "file_path": path.decode(errors="replace")}, [fd]


class Session(Closing):
    """One connection to the daemon; it reconnects by itself after a restart.

    Thread-safe, one call at a time: a long cache() keeps other threads' calls
    waiting, so give them sessions of their own. After a fork, the child's next
    call connects anew. Names are those of `warmset list`, or a unique prefix of
    a name or id; attach(), cache(), preload() and path() also take a file as a
    path object (pathlib.Path): that very file is meant, in the roots or not, and
    OSError is raised where it can't be opened. Every method raises WarmsetError.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def attach(
        self,
        name: ModelOrFile,
        component: Optional[str] = None,
        device: Optional[str] = None,
        writable: bool = True,
        tensors: Sequence[str] = (),
    ) -> Model:
        """Maps a model, or one component of it; loads it first if it is not in RAM.

        `device`: what lies on that device ("host:0") instead of RAM. Writes to
        tensors are private to this attached model (copied on write, by 2 MiB or
        4 KiB pages); with `writable=False` they fail.

        `tensors`: only these, of one component. Of what is in RAM compressed
        nothing else is decoded. TensorNotFoundError when one is not there.
        """
        arguments: Message = {}
        if component is not None:
            arguments["components"] = [component]
        if device is not None:
            arguments["device"] = device
        if tensors:
            arguments["tensors"] = list(tensors)
        with _subject(name) as (subject, fds):
            replies = self._channel.call("attach", {**subject, **arguments}, fds)
        with attachments(replies) as made:
            components = {attachment.name: attachment.map(writable) for attachment in made}
        return Model(made[0].model or str(name), components)

    def models(self, filter: str = "") -> List[ModelState]:
        """The models that the daemon knows; with `filter`, whose names contain it."""
        found = self._ask("list_models", "models", {"filter": filter}).get("models", ())
        return [decode(ModelState, state) for state in found]

    def state(self, name: str) -> ModelState:
        result = self._ask("get_model_state", "states", {"names": [name]})["results"][0]
        if "error" in result:
            raise error_from_message(result["error"])
        return decode(ModelState, result["state"])

    def cache(
        self,
        name: ModelOrFile,
        progress: Optional[ProgressCallback] = None,
        component: Optional[str] = None,
        force: bool = False,
    ) -> CacheResult:
        """Brings a model into RAM. An exception from `progress` ends the wait,
        and the connection with it; the daemon loads on.

        UnusableModelError for one that can't be used, in the subclass of its reason;
        `force` takes what of it can be read, and the result says what was skipped.
        """
        arguments: Message = {}
        if force:
            arguments["force"] = True
        if component is not None:
            arguments["components"] = [component]
        with _subject(name) as (subject, fds):
            reply = self._ask("cache", "cache", {**subject, **arguments}, progress, fds)
        return decode(CacheResult, reply)

    def preload(self, name: ModelOrFile, component: Optional[str] = None) -> ModelState:
        """Has a model read into RAM behind what others wait for, and returns at once.

        Without `component`: the components that were used last, else all. A later
        attach() or cache() joins the read. It may take the place of other models,
        as cache() may; `warmset ps --usage` tells what preloads were good for.
        """
        arguments: Message = {}
        if component is not None:
            arguments["components"] = [component]
        with _subject(name) as (subject, fds):
            reply = self._ask("preload_model", "preload", {**subject, **arguments}, None, fds)
        return decode(ModelState, reply["state"])

    def validate_compatibility(self, name: str, device: str = "") -> Compatibility:
        """Whether a model can be used, and why not: on a device of the daemon
        ("host:0", with what is free there now) or on one like
        "nvidia:8.6,memory=24GiB"; without `device` as such."""
        arguments: Message = {"model": name, "device": device}
        return decode(
            Compatibility, self._ask("validate_compatibility", "compatibility", arguments)
        )

    def path(self, name: ModelOrFile) -> str:
        """A read-only file, or folder of files, with the model's bytes in RAM, which any
        program can open; valid until `warmset uncache`. Of a split GGUF, its first part.
        For a file: that file, with those that belong to it beside it."""
        with _subject(name) as (subject, fds):
            return str(self._ask("get_path", "path", subject, None, fds)["path"])

    def status(self) -> DaemonStatus:
        return decode(DaemonStatus, self._ask("get_status", "status"))

    def _ask(
        self,
        call: str,
        result: str,
        arguments: Optional[Message] = None,
        progress: Optional[ProgressCallback] = None,
        fds: Sequence[int] = (),
    ) -> Message:
        reply = self._channel.call(call, arguments, fds, progress)[-1]
        answer: Optional[Message] = reply.message.get(result)
        if answer is None:
            raise WarmsetError(f"the daemon answered {call} with {sorted(reply.message)}")
        return answer

    def close(self) -> None:
        """Ends the session. Attached models and tensors stay valid, and their
        leases held, until they go."""
        self._channel.close()

"""What clients see of daemons that are absent, old, broken or lying."""

from __future__ import annotations

import gc
import os
import pathlib
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import warmset
from warmset import _wire
from conftest import accepts, mapped_entries


def started(make_daemon: Any, fault: str) -> str:
    daemon = make_daemon(fault=fault)
    save_file({"x": torch.ones(1 << 16)}, daemon.models / "x.safetensors")
    save_file({"x": torch.ones(4)}, daemon.models / "xy.safetensors")
    if fault in ("version", "silent_hello", "silent", "wrong_id", "half_frame"):
        daemon._answers = lambda models: accepts(daemon.socket)  # it can't list
    daemon.start()
    return str(daemon.socket)


def test_no_daemon(folder: pathlib.Path) -> None:
    with pytest.raises(warmset.DaemonUnavailableError, match="warmset serve") as caught:
        warmset.connect(str(folder / "nobody.sock"))
    assert isinstance(caught.value, ConnectionError)


@pytest.mark.parametrize(
    "code, kind",
    [
        ("corrupted_model", warmset.CorruptedModelError),
        ("incompatible_model", warmset.IncompatibleModelError),
        ("incomplete_model", warmset.IncompleteModelError),
        ("unsafe_model", warmset.UnsafeModelError),
        ("access_restricted", warmset.AccessRestrictedError),
        ("unsupported_format", warmset.UnsupportedFormatError),
        ("unrecognized_format", warmset.UnrecognizedFormatError),
    ],
)
def test_what_cannot_be_used_is_caught_once(code: str, kind: Any) -> None:
    error = warmset.errors.error_from_message({"code": code, "message": "why"})
    assert type(error) is kind and error.code == code
    assert isinstance(error, warmset.UnusableModelError)
    assert isinstance(error, warmset.IncompatibleModelError) == (code != "corrupted_model")


@pytest.mark.parametrize(
    "fault, error, code",
    [
        ("outside", warmset.CorruptedModelError, "corrupted_model"),
        ("unsealed", warmset.CorruptedModelError, "corrupted_model"),
        ("short", warmset.CorruptedModelError, "corrupted_model"),
        ("unknown_dtype", warmset.UnsupportedFormatError, "unsupported_format"),
        ("limit", warmset.RamLimitExceededError, "ram_limit_exceeded"),
        ("error_after_attached", warmset.WarmsetError, "io_error"),
    ],
)
def test_an_attach_that_fails_leaves_nothing(
    make_daemon: Any, fault: str, error: Any, code: str
) -> None:
    session = warmset.connect(started(make_daemon, fault))
    descriptors = len(os.listdir("/proc/self/fd"))
    before = mapped_entries()
    with pytest.raises(error) as caught:
        session.attach("x")["x"]
    assert caught.value.code == code
    del caught
    gc.collect()
    assert session.state("x").leases == 0
    assert mapped_entries() == before and len(os.listdir("/proc/self/fd")) == descriptors


def test_ambiguous_name(make_daemon: Any) -> None:
    daemon = make_daemon()
    for name in ("one-a", "one-b"):
        save_file({"x": torch.ones(4)}, daemon.models / f"{name}.safetensors")
    daemon.start()
    with warmset.connect(daemon.socket) as session:
        with pytest.raises(warmset.AmbiguousNameError) as caught:
            session.attach("one")
        assert caught.value.candidates == ("one-a", "one-b")


@pytest.mark.parametrize("fault", ["die", "half_frame"])
def test_the_daemon_dies_in_mid_call(make_daemon: Any, fault: str) -> None:
    session = warmset.connect(started(make_daemon, fault))
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(warmset.DaemonUnavailableError):
        session.attach("x")
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_an_answer_to_another_request(make_daemon: Any) -> None:
    session = warmset.connect(started(make_daemon, "wrong_id"))
    with pytest.raises(warmset.WarmsetError, match="another request"):
        session.models()
    assert session._channel._sock is None


def test_another_protocol_version(make_daemon: Any) -> None:
    with pytest.raises(warmset.VersionMismatchError, match="protocol 2"):
        warmset.connect(started(make_daemon, "version"))


def test_a_daemon_that_does_not_say_hello(make_daemon: Any) -> None:
    with pytest.raises(warmset.DaemonTimeoutError, match="silent for 0.05 s") as caught:
        warmset.connect(started(make_daemon, "silent_hello"), timeout=0.05)
    assert caught.value.code == "timeout"
    assert isinstance(caught.value, warmset.DaemonUnavailableError)
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.parametrize("call", ["state", "attach", "cache", "path"])
def test_a_daemon_that_is_stopped(make_daemon: Any, call: str) -> None:
    socket = started(make_daemon, "")
    daemon = make_daemon.made[-1]
    session = warmset.connect(socket)
    with daemon.stopped():
        session._channel._timeout, session._channel._silence = 0.05, 0.1
        with pytest.raises(warmset.DaemonTimeoutError):
            getattr(session, call)("x")
        with pytest.raises(warmset.DaemonTimeoutError):
            session.models()  # in vain it connects anew
    with warmset.connect(socket) as patient:
        assert patient.attach("x")["x"].shape == (1 << 16,)


def test_progress_callbacks(make_daemon: Any) -> None:
    session = warmset.connect(started(make_daemon, ""))
    seen = []
    session.cache("xy", progress=seen.append)
    assert [(progress.done, progress.total) for progress in seen] == [(0, 1), (1, 1)]

    def calls_back(progress: warmset.Progress) -> None:
        session.models()

    with pytest.raises(warmset.InvalidRequestError, match="own call"):
        session.cache("xy", progress=calls_back)

    def gives_up(progress: warmset.Progress) -> None:
        raise OSError("enough")

    with pytest.raises(OSError, match="enough"):
        session.cache("xy", progress=gives_up)
    assert len(session.models()) == 2, "the next call connects again"


def test_where_the_socket_is(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMSET_SOCKET", "/a/b.sock")
    assert _wire.socket_path() == "/a/b.sock"
    monkeypatch.setenv("WARMSET_SOCKET", "")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert _wire.socket_path() == "/run/user/7/warmset/warmset.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    real_lstat = os.lstat
    default = f"/tmp/warmset-{os.getuid()}"
    monkeypatch.setattr(os, "lstat", lambda path: real_lstat(folder if path == default else path))
    folder.chmod(0o700)
    assert _wire.socket_path() == f"{default}/warmset.sock"
    folder.chmod(0o770)
    with pytest.raises(warmset.DaemonUnavailableError, match="only you") as caught:
        _wire.socket_path()
    assert caught.value.code == "permission_denied"

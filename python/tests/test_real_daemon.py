"""What only the real daemon can show. Runs where WARMSET_BIN_DIR names its programs,
as scripts/test.sh does; so do the other modules' tests, once more, with it."""

from __future__ import annotations

import gc
import os
import pathlib
import subprocess
import sys
from typing import Any, Callable, Dict

import pytest
import safetensors
import safetensors.torch
import torch

import warmset
import warmset.safetensors as warm
from conftest import BIN_DIR, DaemonProcess, eventually
from warmset import _serving

pytestmark = pytest.mark.skipif(BIN_DIR is None, reason="WARMSET_BIN_DIR is not set")


@pytest.fixture
def real(make_daemon: Callable[..., DaemonProcess], tensors: Dict[str, Any]) -> DaemonProcess:
    made = make_daemon("real")
    safetensors.torch.save_file(tensors, made.models / "small.safetensors")
    wide = {"w": torch.arange(1 << 21, dtype=torch.float32)}
    safetensors.torch.save_file(wide, made.models / "wide.safetensors")
    return made.start()


def command(daemon: DaemonProcess, *arguments: str) -> str:
    assert BIN_DIR
    return subprocess.run(
        [os.path.join(BIN_DIR, "warmset"), *arguments],
        env={**os.environ, "WARMSET_SOCKET": daemon.socket},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout


BROKEN = {
    "too short": b"\0\0",
    "header too large": b"\xff" * 8 + b"1" * 8,
    "header beyond the end": (100).to_bytes(8, "little") + b"{}",
    "no JSON": (2).to_bytes(8, "little") + b"{x",
}


@pytest.mark.parametrize("mode", ["auto", "require"])
def test_broken_files_are_refused_in_the_same_words(
    real: DaemonProcess, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WARMSET_SOCKET", real.socket)
    monkeypatch.setenv("WARMSET", mode)
    whole = (real.models / "small.safetensors").read_bytes()
    path = folder / "broken.safetensors"
    for content in (*BROKEN.values(), whole[:-8]):
        path.write_bytes(content)
        answers = []
        for opener in (warm.safe_open, safetensors.safe_open):
            with pytest.raises(safetensors.SafetensorError) as caught:
                opener(str(path), "pt")
            answers.append((type(caught.value), str(caught.value)))
        assert answers[0] == answers[1]


def test_uncached_while_mapped(real: DaemonProcess) -> None:
    with warmset.connect(real.socket) as session:
        tensor = session.attach("wide")["w"].torch()
        command(real, "uncache", "wide")
        assert session.state("wide").cache_state == "uncached"
        assert tensor.equal(torch.arange(1 << 21, dtype=torch.float32))


def test_a_file_replaced_in_place_is_read_again(
    real: DaemonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMSET_SOCKET", real.socket)
    monkeypatch.setenv("WARMSET", "require")
    path = real.models / "wide.safetensors"
    old = warm.load_file(path)["w"]
    replacement = path.with_suffix(".new")
    safetensors.torch.save_file({"w": torch.ones(1 << 21)}, replacement)
    os.replace(replacement, path)
    assert warm.load_file(path)["w"].eq(1).all()
    assert old[1] == 1 and old[2] == 2


def test_a_model_beyond_the_limit_falls_back(
    real: DaemonProcess, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "huge.safetensors"
    size = (1 << 30) + (1 << 20)
    header = b'{"x":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)
    monkeypatch.setenv("WARMSET_SOCKET", real.socket)
    _serving._warned.clear()
    with pytest.warns(warm.WarmsetWarning, match=r"\[ram_limit_exceeded\]"):
        with warm.safe_open(path, "pt") as f:
            assert f.get_slice("x")[:3].tolist() == [0, 0, 0]


@pytest.mark.parametrize("pool", ["shared", "dedicated"])
def test_attach_on_a_device(real: DaemonProcess, pool: str) -> None:
    command(real, "load", "wide", "--device", "host:0", "--pool", pool)
    with warmset.connect(real.socket) as session:
        model = session.attach("wide", device="host:0")
        [component] = model.components.values()
        assert component.device == "host:0"
        tensor = model["w"].torch()
        assert tensor.equal(torch.arange(1 << 21, dtype=torch.float32))
        tensor.zero_()
        assert session.attach("wide", device="host:0")["w"].numpy()[1] == 1


def test_run_puts_the_drop_in_in_place(real: DaemonProcess) -> None:
    code = (
        "import safetensors.torch, sys\n"
        "assert safetensors.safe_open.__module__ == 'warmset.safetensors'\n"
        f"w = safetensors.torch.load_file({str(real.models / 'wide.safetensors')!r})['w']\n"
        "print(int(w[5]), 'warmset-entry' in open('/proc/self/maps').read())"
    )
    assert command(real, "run", "--", sys.executable, "-c", code) == "5 True\n"


def test_leases_are_seen_by_ps(real: DaemonProcess) -> None:
    with warmset.connect(real.socket) as session:
        tensor = session.attach("wide")["w"].torch()
        assert str(os.getpid()) in command(real, "ps")
        del tensor
        gc.collect()
        eventually(lambda: str(os.getpid()) not in command(real, "ps"))

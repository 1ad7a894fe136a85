"""Daemons for tests: the double always, the real one where WARMSET_BIN_DIR names its programs."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

HERE = pathlib.Path(__file__).parent
PACKAGE_PARENT = HERE.parent
sys.path[:0] = [str(PACKAGE_PARENT), str(HERE)]
os.environ.pop("WARMSET", None)
os.environ["WARMSET_SOCKET"] = "/nonexistent/warmset.sock"  # never the user's own daemon

import warmset  # noqa: E402

BIN_DIR = os.environ.get("WARMSET_BIN_DIR")
KINDS = ["double"] + (["real"] if BIN_DIR else [])
_DEADLINE = 30.0


class DaemonProcess:
    """A daemon over a folder of models. `socket` stays the same over restarts."""

    def __init__(self, kind: str, folder: pathlib.Path, fault: str = "") -> None:
        self.kind = kind
        self.models = folder / "models"
        self.models.mkdir(exist_ok=True)
        self.socket = str(folder / "warmset.sock")
        self._folder = folder
        self._fault = fault
        self.process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> "DaemonProcess":
        if self.kind == "double":
            command = [sys.executable, str(HERE / "fake_daemon.py"), self.socket, str(self.models)]
            command += [self._fault] if self._fault else []
        else:
            assert BIN_DIR
            command = [os.path.join(BIN_DIR, "warmset"), "serve", "--root", str(self.models)]
            command += ["--socket", self.socket, "--home", str(self._folder / "home")]
            command += ["--ram-limit", "1GiB"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wanted = len(list(self.models.glob("*.safetensors")))
        eventually(lambda: self._answers(wanted))
        return self

    def _answers(self, models: int) -> bool:
        assert self.process is not None and self.process.poll() is None, "the daemon ended"
        try:
            with warmset.connect(self.socket) as session:
                return len(session.models()) >= models
        except warmset.DaemonUnavailableError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.kind == "double":
            os.unlink(self.socket)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Holds it still, as SIGSTOP does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None


def eventually(condition: Callable[[], bool]) -> None:
    """For what another process does in its own time."""
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def accepts(path: str) -> bool:
    """Whether somebody listens there; a socket's file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    # A short path: a socket's may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="warmset-py-") as name:
        yield pathlib.Path(name)


@pytest.fixture
def make_daemon(folder: pathlib.Path) -> Iterator[Callable[..., DaemonProcess]]:
    """Starts nothing by itself: put models in, then start()."""
    made: List[DaemonProcess] = []

    def make(kind: str = "double", fault: str = "") -> DaemonProcess:
        made.append(DaemonProcess(kind, folder, fault))
        return made[-1]

    make.made = made  # type: ignore[attr-defined]
    yield make
    for daemon in made:
        daemon.stop()


@pytest.fixture(params=KINDS)
def daemon(
    request: Any, make_daemon: Callable[..., DaemonProcess], tensors: Dict[str, Any]
) -> DaemonProcess:
    """Running, with one model "small" of every dtype and one "wide" of 8 MiB."""
    import torch
    from safetensors.torch import save_file

    made = make_daemon(request.param)
    save_file(tensors, made.models / "small.safetensors", metadata={"format": "pt", "k": "v"})
    wide = {"w": torch.arange(1 << 21, dtype=torch.float32).reshape(1 << 10, 1 << 11)}
    save_file(wide, made.models / "wide.safetensors")
    return made.start()


@pytest.fixture
def session(daemon: DaemonProcess) -> Iterator[warmset.Session]:
    with warmset.connect(daemon.socket) as connected:
        yield connected


@pytest.fixture
def tensors() -> Dict[str, Any]:
    import torch

    generator = torch.Generator().manual_seed(7)
    made: Dict[str, Any] = {
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3.5),
        "bool": torch.tensor([True, False, True]),
        "complex": torch.randn(5, dtype=torch.complex64, generator=generator),
    }
    for name in "uint8 int8 uint16 int16 uint32 int32 uint64 int64".split():
        values = torch.randint(0, 100, (3, 4), generator=generator)
        made[name] = values.to(getattr(torch, name))
    for name in "float16 bfloat16 float32 float64".split():
        made[name] = torch.randn(2, 3, 4, generator=generator).to(getattr(torch, name))
    for name in "e4m3fn e5m2 e4m3fnuz e5m2fnuz e8m0fnu".split():
        made[f"f8_{name}"] = torch.rand(6, generator=generator).to(getattr(torch, f"float8_{name}"))
    return made


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter that finds the package."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE_PARENT), str(HERE)])}
    env.update(environment)
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
    )


def mapped_entries() -> int:
    """How many ranges of model memory this process maps."""
    maps = pathlib.Path("/proc/self/maps").read_text()
    return sum("memfd:warmset-entry" in line for line in maps.splitlines())

"""A daemon as a real process, and what a test does to it."""

import collections
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from .session import Session

BIN = pathlib.Path(os.environ.get(
    "WARMSET_BIN_DIR", pathlib.Path(__file__).parents[3] / "build" / "dev" / "bin"))
PATIENCE = 60.0  # seconds; a test that waits longer has found a hang
MIB = 1 << 20


def wait_until(condition, what, patience=PATIENCE):
    """Polls until condition() gives something true, and returns that."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not after {patience} s")
        time.sleep(0.01)
    return value


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def children(pid):
    with contextlib.suppress(OSError):
        return [int(child) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                for child in (task / "children").read_text().split()]
    return []


class CommandFailed(AssertionError):
    """A command of the CLI failed; `code` is the stable code it printed with --json."""

    def __init__(self, result):
        super().__init__(f"{result.args}: exit code {result.returncode}\n{result.stderr}")
        self.returncode = result.returncode
        self.stderr = result.stderr
        self.code = None
        with contextlib.suppress(ValueError, KeyError):
            self.code = json.loads(result.stdout)["error"]["code"]


class Daemon:
    """`warmset serve` on a root (None: none is named), a socket and a home of its own."""

    def __init__(self, root, flags=()):
        self.root = None if root is None else pathlib.Path(root)
        # Short, as a socket's path has 107 bytes at most.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="warmset-"))
        self.socket = self.folder / "s"
        self.home = self.folder / "home"
        self.log = self.folder / "log"
        self.flags = list(flags)
        self.process = None

    def environment(self):
        # A user's own configuration must not change a test.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("WARMSET", "XDG_", "HF_"))}
        return environment | {"WARMSET_SOCKET": str(self.socket), "WARMSET_HOME": str(self.home),
                              "HOME": str(self.folder), "NO_COLOR": "1"}

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BIN / "warmset", "serve", *(("--root", self.root) if self.root else ()),
                 *self.flags],
                env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, f"a daemon that answers at {self.socket}")
        wait_until(self._settled, "the first scan, and workers that are ready")
        return self

    def _settled(self):
        status = self.status()
        return not status.get("scanning") and all(
            device["worker_state"] == "ready" for device in status["devices"])

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n"
                                 + self.log.read_text(errors="replace"))
        with contextlib.suppress(OSError, EOFError), self.session():
            return True

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        """SIGKILL, as the out-of-memory killer would."""
        workers = children(self.pid)
        self.process.kill()
        self.process.wait(PATIENCE)
        wait_until(lambda: not any(map(alive, workers)), "the end of a killed daemon's workers")

    def signal(self, number):
        os.kill(self.pid, number)

    @contextlib.contextmanager
    def stopped(self):
        """Holds the daemon still, so that what a test does meanwhile is in the middle."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", "a stopped daemon")
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)

    def _state(self):
        stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0]

    def end(self):
        """Ends it in any case; fails where it did not end by itself."""
        workers = []
        if self.process and self.process.poll() is None:
            workers = children(self.pid)
            for process in (*workers, self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the daemon did not end after SIGTERM") from None
            finally:
                left = [worker for worker in workers if alive(worker)]
                for worker in left:
                    os.kill(worker, signal.SIGKILL)
            assert not left, "a worker outlived its daemon"
            assert self.process.returncode == 0, self.log.read_text(errors="replace")

    def clean_up(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    # Asking it.

    def session(self, **hello):
        return Session(self.socket, **hello)

    def call(self, call, /, **arguments):
        """One call in a session of its own; the reply's message."""
        with self.session() as session:
            return session.call(call, **arguments)

    def status(self):
        return self.call("get_status")

    def memory(self):
        """MemoryUse; what is not in it is 0."""
        use = self.call("list_active")["memory"]
        return collections.Counter({name: int(value) for name, value in use.items()})

    def memory_used(self):
        return sum(value for name, value in self.memory().items() if "limit" not in name)

    def state(self, model):
        result = self.call("get_model_state", names=[model])["results"][0]
        return result["state"] if "state" in result else result["error"]

    def leases(self, model):
        return int(self.state(model).get("leases", 0))

    def device(self, name="host:0"):
        return next(device for device in self.status()["devices"] if device["id"] == name)

    def run(self, *arguments, **options):
        """Runs the CLI; a CompletedProcess with text."""
        return subprocess.run([BIN / "warmset", *map(str, arguments)], env=self.environment(),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE, **options)

    def cli(self, *arguments):
        """Runs the CLI with --json and gives the document; CommandFailed on failure."""
        result = self.run(*arguments, "--json")
        if result.returncode != 0:
            raise CommandFailed(result)
        return json.loads(result.stdout)

    def python(self, code, *arguments, **options):
        """Starts a Python client of its own process, talking over pipes."""
        environment = self.environment() | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)],
                                env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True, **options)

    # What must hold after every test, however it went.

    def check(self):
        """Worker and mirror are equal, `ps` agrees with both, and the limit is kept."""
        devices = self.status()["devices"]
        for device in devices:
            wait_until(lambda: self._ready(device["id"]), f"a ready worker of {device['id']}")
        wait_until(self._agree, "ps and the workers to agree")
        assert self.memory_used() <= self.memory()["limit"], self.memory()

    def _ready(self, device):
        state = self.device(device)
        if state["worker_state"] != "ready" or not state["sync"].get("in_sync"):
            return False
        with contextlib.suppress(Exception):
            return self.call("get_worker_state", device=device).get("equal_to_mirror", False)

    def _agree(self):
        """Bytes on each device by `ps`, and by the worker itself, by component."""
        by_ps = {}
        for model in self.call("list_active").get("models", ()):
            detail = self.call("get_model_detail", name=model["state"]["id"])
            for component in detail.get("components", ()):
                for placed in component.get("devices", ()):
                    by_ps.setdefault(placed["device"], {})[component["id"]] = int(placed["bytes"])
        by_workers = {}
        for device in self.status()["devices"]:
            reply = self.call("get_worker_state", device=device["id"])
            for placement in reply.get("placements", ()):
                if placement["phase"] == "ready":
                    by_workers.setdefault(device["id"], {})[placement["component_id"]] = int(
                        placement.get("bytes", 0))
        return by_ps == by_workers

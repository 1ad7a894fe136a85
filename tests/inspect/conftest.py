"""Runs `warmset inspect`, and holds it to its promises on every call.

Whatever it is given, it ends with one JSON object a line and the exit code that
fits them, within PATIENCE and MAX_MEMORY.
"""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
BIN = pathlib.Path(os.environ.get("WARMSET_BIN_DIR", ROOT / "build" / "dev" / "bin"))
PATIENCE = 30.0  # seconds, on a busy machine; an idle one needs much less
MAX_MEMORY = 512 << 20

VERDICTS = {"ok", "corrupt", "unsafe", "unsupported", "incomplete", "restricted", "unrecognized"}
CATEGORIES = {"unsupported_operations", "format_version", "file_corruption", "access_restricted",
              "unsafe_content", "device_memory", "dtype_support"}


class Finished:
    """What a run of the program left behind."""

    def __init__(self, arguments, returncode, out, err, memory):
        self.arguments = arguments
        self.returncode = returncode
        self.out = out
        self.err = err
        self.memory = memory  # bytes, of the largest of its processes

    def lines(self):
        return [json.loads(line) for line in self.out.decode("utf-8").splitlines()]


# Runs a program and reports its status and peak memory in KiB. A process of its own:
# what a child inherits from a large one counts as the child's peak.
MEASURE = """
import os, sys
report = int(sys.argv[1])
os.set_inheritable(report, False)
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
os.write(report, b"%d %d" % (os.waitstatus_to_exitcode(status), usage.ru_maxrss))
"""


def run_inspect(*arguments, cwd=None):
    """Runs `warmset inspect` with those arguments, whatever its exit code."""
    arguments = [BIN / "warmset", "inspect", *arguments]
    reports, report = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", MEASURE, str(report), *arguments], cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, pass_fds=[report], start_new_session=True)
    os.close(report)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    finally:
        with open(reports, "rb") as file:
            measured = file.read().split()
    returncode, memory = int(measured[0]), int(measured[1]) << 10
    assert returncode in (0, 1, 2), (arguments, returncode, err)
    assert memory < MAX_MEMORY, (arguments, memory)
    return Finished(arguments, returncode, out, err, memory)


def check_line(line):
    """What docs/inspect.md promises of every line."""
    if "error" in line:
        assert set(line) == {"path", "error"}
        assert set(line["error"]) == {"code", "message"}
        return
    assert line["verdict"] in VERDICTS
    assert set(line["architecture"]) == {"name", "confidence", "evidence"}
    assert 0 <= line["architecture"]["confidence"] <= 1
    for finding in line["findings"]:
        assert finding["category"] in CATEGORIES
        assert finding["severity"] in ("error", "warning")
        assert finding["message"]
        assert finding["offset"] is None or finding["offset"] >= 0
    # A verdict has its reasons, and an ok model has none against it.
    errors = [finding for finding in line["findings"] if finding["severity"] == "error"]
    assert bool(errors) == (line["verdict"] != "ok"), line
    for component in line["components"]:
        assert component["tensors"] > 0
        assert sum(component["dtypes"].values()) == component["bytes"]
    assert sum(line["dtypes"].values()) == line["bytes"]
    if "tensor_list" in line:
        assert len(line["tensor_list"]) == line["tensors"]
        assert sum(tensor["bytes"] for tensor in line["tensor_list"]) == line["bytes"]


@pytest.fixture(scope="session")
def inspect():
    """inspect(path...) gives the lines, each checked; tensors=True lists the tensors too."""

    def run(*paths, tensors=False, flags=(), cwd=None):
        flags = ["--json", *(["--tensors"] if tensors else []), *flags]
        finished = run_inspect(*flags, *paths, cwd=cwd)
        lines = finished.lines()
        for line in lines:
            check_line(line)
        all_ok = bool(lines) and all(line.get("verdict") == "ok" for line in lines)
        assert finished.returncode == (0 if all_ok else 1), (finished.returncode, finished.err)
        return lines

    return run


@pytest.fixture(scope="session")
def inspect_one(inspect):
    """The same for a path that has one line."""

    def run(path, **options):
        lines = inspect(path, **options)
        assert len(lines) == 1, [line["path"] for line in lines]
        assert lines[0]["path"] == os.fsencode(path).decode("utf-8", "replace")
        return lines[0]

    return run


@pytest.fixture(scope="session")
def verdict_of(inspect_one):
    """The verdict of a path that has one line."""
    return lambda path: inspect_one(path).get("verdict")


@pytest.fixture(scope="session")
def tensors_of(inspect_one):
    """The tensors of a path that is ok and has one line, by name."""

    def run(path, **options):
        line = inspect_one(path, tensors=True, **options)
        assert line["verdict"] == "ok", line["findings"]
        return {tensor["name"]: tensor for tensor in line["tensor_list"]}

    return run


@pytest.fixture(scope="session")
def fixtures():
    """The makers of scripts/make-fixtures.py."""
    spec = importlib.util.spec_from_file_location("fixtures", ROOT / "scripts" / "make-fixtures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def real_models():
    """The folder that `scripts/fetch-models.sh --all` fills."""
    folder = pathlib.Path(os.environ.get("WARMSET_REAL_MODELS", ROOT / ".cache" / "real-models"))
    assert folder.is_dir(), "run scripts/fetch-models.sh --all"
    return folder

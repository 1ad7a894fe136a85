"""Fixtures: folders of models, and daemons that always end."""

import importlib.util
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "python")]

from harness.daemon import Daemon  # noqa: E402


def _load_fixtures():
    spec = importlib.util.spec_from_file_location("fixtures", ROOT / "scripts" / "make-fixtures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def fixtures():
    """The makers of scripts/make-fixtures.py."""
    return _load_fixtures()


@pytest.fixture
def models(tmp_path):
    """An empty folder, the root that a test's daemon watches."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def serve(models):
    """Starts a daemon with flags. At the end each must be sound, and end well."""
    started = []

    def start(*flags, ram_limit="1GiB", reserve="0", root=models):
        daemon = Daemon(root, ["--ram-limit", ram_limit, "--reserve", reserve, *flags])
        started.append(daemon)
        return daemon.start()

    yield start
    failures = []
    for daemon in started:
        try:
            if daemon.process.poll() is None:
                daemon.check()
        except Exception as error:  # every daemon ends, whatever is found
            failures.append(error)
        try:
            daemon.end()
        except AssertionError as error:
            failures.append(error)
        if failures:
            print(daemon.log.read_text(errors="replace")[-4000:])
        daemon.clean_up()
    if failures:
        raise failures[0]


@pytest.fixture(scope="session")
def silero():
    """The folder with the small real model, as scripts/fetch-models.sh left it."""
    folder = pathlib.Path(os.environ.get("WARMSET_TEST_MODELS", ROOT / ".cache" / "models"))
    assert (folder / "silero-vad.safetensors").exists(), "run scripts/fetch-models.sh"
    return folder


@pytest.fixture(scope="session")
def real_models():
    """The folder that `scripts/fetch-models.sh --all` fills."""
    folder = pathlib.Path(os.environ.get("WARMSET_REAL_MODELS", ROOT / ".cache" / "real-models"))
    assert folder.is_dir(), "run scripts/fetch-models.sh --all"
    return folder

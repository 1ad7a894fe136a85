"""A network share whose server dies: what is in RAM is served, and the daemon can end."""

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest

from harness.daemon import wait_until

FILE_SYSTEM = pathlib.Path(__file__).parent / "harness" / "hanging_fs.py"
PYTHON = "/usr/bin/python3"
# python3-fusepy of the distribution, wherever its Python looks by default.
ENVIRONMENT = os.environ | {"PYTHONPATH": "/usr/lib/python3/dist-packages"}


class Share:
    def __init__(self, folder):
        self.source, self.mount, self._hang = folder / "src", folder / "net", folder / "HANG"
        self.source.mkdir()
        self.mount.mkdir()

    def hang(self):
        self._hang.touch()

    def answer(self):
        self._hang.unlink(missing_ok=True)


@pytest.fixture
def share(tmp_path):
    known = subprocess.run([PYTHON, "-c", "import fusepy"], env=ENVIRONMENT, capture_output=True)
    if known.returncode != 0:
        pytest.skip("there is no fusepy")
    share = Share(tmp_path)
    process = subprocess.Popen(
        [PYTHON, FILE_SYSTEM, share.source, share.mount, tmp_path / "HANG"], env=ENVIRONMENT,
        stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: os.path.ismount(share.mount) or process.poll() is not None, "a mount")
        if process.poll() is not None:
            pytest.skip(f"FUSE can't be used here: {process.stderr.read()}")
        yield share
    finally:
        share.answer()
        subprocess.run(["fusermount3", "-uz", share.mount], check=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.stderr.close()


def test_what_is_in_ram_is_served(serve, models, fixtures, share):
    fixtures.save(share.source / "warm.safetensors", fixtures.layers(1, 4, prefix="warm"))
    fixtures.save(share.source / "cold.safetensors", fixtures.layers(1, 4, prefix="cold"))
    fixtures.save(models / "local.safetensors", fixtures.layers(1, 4, prefix="local"))
    daemon = serve("--root", share.mount)
    daemon.cli("cache", "warm")
    path = daemon.cli("path", "warm")["path"]
    share.hang()
    with daemon.session() as waiting:
        for _ in range(12):  # more than there are threads for a disk
            waiting.send("cache", {"model": "cold"})
        with daemon.session() as session:
            message, _ = session.responses(session.send("attach", {"model": "warm"}))[-1]
            assert any("does not answer" in warning for warning in message["warnings"])
            assert session.attach("local")
        result = daemon.run("path", "warm")
        assert result.returncode == 0 and result.stdout.strip() == path
        assert "warning: " in result.stderr and str(share.mount) in result.stderr
        client = daemon.python("import warmset, warnings\n"
                               "from warmset.errors import WarmsetWarning\n"
                               "warnings.simplefilter('error')\n"
                               "try: warmset.connect().attach('warm')\n"
                               "except WarmsetWarning as warning: print(warning)\n")
        assert "does not answer" in client.communicate(timeout=60)[0]
        assert daemon.cli("cache", "local")["state"]["cache_state"] == "cached"
        share.answer()
        for _ in range(12):
            while True:
                message, _ = waiting.receive()
                if "cache" in message:
                    break
                assert "error" not in message, message
    assert daemon.state("cold")["cache_state"] == "CACHED"
    with daemon.session() as session:
        message, _ = session.responses(session.send("attach", {"model": "warm"}))[-1]
        assert "warnings" not in message


def test_a_model_that_must_be_read_times_out(serve, models, fixtures, share):
    fixtures.save(share.source / "cold.safetensors", fixtures.layers(1, 4))
    daemon = serve("--root", share.mount)
    share.hang()
    with daemon.session() as session:
        session.socket.settimeout(120)
        number = session.send("cache", {"model": "cold"})
        while True:
            message, _ = session.receive()
            if "error" in message:
                break
    assert message["id"] == str(number) and message["error"]["code"] == "timeout"
    assert str(share.mount) in message["error"]["message"]
    assert "error_code" not in daemon.state("cold"), "the model is not to blame"
    share.answer()
    assert daemon.cli("cache", "cold")["state"]["cache_state"] == "cached"


def test_the_daemon_ends_while_threads_wait(serve, models, fixtures, share):
    fixtures.save(share.source / "cold.safetensors", fixtures.layers(1, 4))
    daemon = serve("--root", share.mount)
    share.hang()
    with daemon.session() as session:
        session.send("cache", {"model": "cold"})
        session.receive()  # a sign of life: it waits
        result = daemon.run("shutdown")
    assert result.returncode == 0, result.stderr
    assert not daemon.socket.exists()
    assert "left behind" in daemon.log.read_text()
    # Its home is free: the next daemon starts while the share still hangs.
    lock = subprocess.run([sys.executable, "-c", "import fcntl, sys\n"
                           "fcntl.flock(open(sys.argv[1], 'rb+'), fcntl.LOCK_EX | fcntl.LOCK_NB)",
                           daemon.home / "daemon.lock"], check=False)
    assert lock.returncode == 0
    share.answer()
    assert daemon.process.wait(60) == 0


def test_a_scan_goes_on_without_a_share_that_hangs(serve, models, fixtures, share):
    fixtures.save(share.source / "far.safetensors", fixtures.layers(1, 4, prefix="far"))
    daemon = serve("--root", share.mount)
    share.hang()
    fixtures.save(models / "near.safetensors", fixtures.layers(1, 4, prefix="near"))
    report = daemon.cli("scan")
    assert any(str(share.mount) == finding["path"] and "does not answer" in finding["message"]
               for finding in report["findings"])
    names = {model["name"] for model in daemon.cli("list")["models"]}
    assert names == {"near.safetensors", "far.safetensors"}, "what is known of it stays"
    for command in ("list", "ps", "doctor"):
        assert f"{share.mount} does not answer" in daemon.run(command).stdout
    fixtures.save(models / "later.safetensors", fixtures.layers(1, 4, prefix="later"))
    wait_until(lambda: any(model["name"] == "later.safetensors"
                           for model in daemon.cli("list")["models"]), "a new local file")
    fixtures.save(share.source / "came.safetensors", fixtures.layers(1, 4, prefix="came"))
    share.answer()
    wait_until(lambda: any(model["name"] == "came.safetensors"
                           for model in daemon.cli("list")["models"]),
               "what came meanwhile, without a scan being asked for")
    wait_until(lambda: "does not answer" not in daemon.run("ps").stdout, "the end of the notice")


def test_a_daemon_starts_and_ends_while_a_root_hangs(serve, models, fixtures, share):
    fixtures.save(share.source / "far.safetensors", fixtures.layers(1, 4, prefix="far"))
    fixtures.save(models / "near.safetensors", fixtures.layers(1, 4, prefix="near"))
    share.hang()
    daemon = serve("--root", share.mount)
    assert daemon.cli("cache", "near")["state"]["cache_state"] == "cached"
    assert f"{share.mount} does not answer" in daemon.run("ps").stdout
    assert daemon.run("shutdown").returncode == 0
    assert not daemon.socket.exists()
    assert "left behind" in daemon.log.read_text()
    share.answer()
    assert daemon.process.wait(60) == 0

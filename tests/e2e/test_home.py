"""A home folder that is damaged, of a newer version, full, or can't be written to."""

import contextlib
import os
import shutil
import sqlite3
import subprocess

import pytest

from harness.daemon import CommandFailed, wait_until


def _notices(daemon):
    return daemon.call("list_active").get("notices", [])


def _serves(daemon):
    assert daemon.cli("cache", "tiny")["state"]["cache_state"] == "cached"
    assert [model["name"] for model in daemon.cli("list")["models"]] == ["tiny.safetensors"]


def _catalog(daemon):
    return daemon.home / "catalog.sqlite"


@pytest.fixture
def daemon(serve, models, fixtures):
    """One that has ended well and left a catalog."""
    fixtures.make_file(models, 4)
    daemon = serve()
    daemon.cli("cache", "tiny")
    daemon.end()
    return daemon


def test_damaged_pages_behind_a_whole_header(daemon):
    pages = bytearray(_catalog(daemon).read_bytes())
    for page in range(4096, len(pages), 4096):
        pages[page + 8:page + 3008] = os.urandom(3000)
    _catalog(daemon).write_bytes(pages)
    daemon.start()
    _serves(daemon)
    (kept,) = [file for file in daemon.home.iterdir() if ".damaged-" in file.name
               and not file.name.endswith(("-wal", "-shm"))]
    assert kept.read_bytes() == pages
    assert any(str(kept) in notice for notice in _notices(daemon))


def test_a_catalog_of_the_future_is_left_alone(daemon):
    with contextlib.closing(sqlite3.connect(_catalog(daemon))) as database:
        database.execute("PRAGMA user_version = 99")
    before = _catalog(daemon).read_bytes()
    daemon.start()
    _serves(daemon)
    (notice,) = _notices(daemon)
    assert "schema version 99" in notice and str(daemon.home) in notice
    daemon.end()
    assert _catalog(daemon).read_bytes() == before


def test_a_home_that_cannot_be_made(serve, models, fixtures, monkeypatch):
    fixtures.make_file(models, 4)
    daemon = serve()
    daemon.end()
    shutil.rmtree(daemon.home)
    daemon.home.write_text("a file, so no folder can be there or below it")
    daemon.home = daemon.home / "home"
    daemon.start()
    _serves(daemon)
    (notice,) = _notices(daemon)
    assert str(daemon.home) in notice and "restart" in notice
    assert notice in daemon.run("doctor").stdout


@pytest.fixture
def mount(tmp_path):
    """Mounts a small file system in memory; skips where that is not allowed."""
    mounted = []

    def mount_small(folder, size):
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,size={size}", "tmpfs", folder],
                              capture_output=True)
        if done.returncode != 0:
            pytest.skip("file systems can't be mounted here")
        mounted.append(folder)

    yield mount_small
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=False)


def _fill(folder):
    with contextlib.suppress(OSError), open(folder / "filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def test_a_full_home_stops_no_start(daemon, mount):
    shutil.rmtree(daemon.home)
    mount(daemon.home, "64k")
    _fill(daemon.home)
    daemon.start()
    _serves(daemon)
    assert any(str(daemon.home) in notice and "room" in notice for notice in _notices(daemon))
    daemon.end()


def test_a_read_only_home_stops_no_start(daemon, mount):
    """And what its catalog knows is there all the same."""
    content = {file.name: file.read_bytes() for file in daemon.home.iterdir()}
    mount(daemon.home, "8m")
    for name, data in content.items():
        (daemon.home / name).write_bytes(data)
    subprocess.run(["mount", "-o", "remount,ro", daemon.home], check=True)
    daemon.start()
    wait_until(lambda: daemon.state("tiny")["cache_state"] == "CACHED", "what was warm")
    _serves(daemon)
    assert any(str(daemon.home) in notice for notice in _notices(daemon))
    daemon.end()


def test_a_disk_that_becomes_full(serve, models, fixtures, mount):
    """It is said once, models are served, and it is over when there is room again."""
    fixtures.make_file(models, 4)
    daemon = serve()
    daemon.end()
    shutil.rmtree(daemon.home)
    mount(daemon.home, "2m")
    daemon.start()
    _fill(daemon.home)
    for _ in range(3):
        daemon.cli("cache", "tiny")
        daemon.cli("uncache", "tiny")
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("override", "tiny", "--kind", "lora")
    assert failure.value.code == "io_error" and str(daemon.home) in failure.value.stderr
    wait_until(lambda: any("not remembered" in notice for notice in _notices(daemon)), "a notice")
    assert daemon.log.read_text().count("not remembered") == 1
    daemon.cli("cache", "tiny")
    (daemon.home / "filler").unlink()
    wait_until(lambda: not _notices(daemon), "the end of the notice")
    daemon.kill()
    daemon.start()
    assert "last_used_unix_ms" in daemon.state("tiny")
    wait_until(lambda: daemon.state("tiny")["cache_state"] == "CACHED", "the row of that time")
    daemon.end()

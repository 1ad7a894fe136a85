"""`warmset path`: sealed memory as a file that any program can open."""

import mmap
import os
import pathlib
import subprocess

import pytest


def test_the_printed_path_opens_reads_and_maps(serve, models, fixtures):
    file = fixtures.make_file(models, 8)
    daemon = serve()
    daemon.cli("cache", "tiny")
    path = daemon.run("path", "tiny").stdout.strip()
    assert subprocess.run(["cmp", path, file]).returncode == 0
    with open(path, "rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == file.read_bytes()
    assert pathlib.Path(path).suffix == ".safetensors"


def test_nobody_writes_through_it(serve, models, fixtures):
    fixtures.make_file(models, 1)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    with open(path, "rb") as opened:
        with pytest.raises(PermissionError):
            mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return
    try:
        for change in (lambda: os.pwrite(fd, b"x", 0), lambda: os.ftruncate(fd, 0)):
            with pytest.raises(PermissionError):
                change()
    finally:
        os.close(fd)


def test_uncache_takes_it_away_and_mappings_stay(serve, models, fixtures):
    file = fixtures.make_file(models, 4)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    with open(path, "rb") as opened:
        mapped = mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ)
    daemon.cli("uncache", "tiny")
    assert not os.path.lexists(path)
    assert mapped[:] == file.read_bytes()


@pytest.mark.parametrize("kind", ["sharded", "diffusers", "transformers"])
def test_a_model_of_several_files_is_a_folder(serve, models, fixtures, kind):
    folder = fixtures.KINDS[kind](models / "several", 6)
    daemon = serve()
    model, = daemon.cli("list")["models"]
    path = pathlib.Path(daemon.cli("path", model["name"])["path"])
    assert path.is_dir()
    weights = list(path.rglob("*.safetensors"))
    assert weights
    for link in weights:
        assert link.read_bytes() == (folder / link.relative_to(path)).read_bytes()


def test_a_checkpoint_of_components_is_its_file(serve, models, fixtures):
    file = fixtures.make_checkpoint(models, 6)
    daemon = serve()
    daemon.cli("cache", "checkpoint")
    assert pathlib.Path(daemon.cli("path", "checkpoint")["path"]).read_bytes() == file.read_bytes()


def test_the_end_of_the_daemon_leaves_nothing(serve, models, fixtures):
    fixtures.make_file(models, 1)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    daemon.cli("shutdown")
    daemon.process.wait(10)
    assert not os.path.lexists(path)

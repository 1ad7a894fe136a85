"""`warmset path`: sealed memory as a file that any program can open."""

import concurrent.futures
import mmap
import os
import pathlib
import subprocess

import pytest
import warmset

from harness.daemon import MIB, wait_until


def memory(daemon):
    return {key: int(value) for key, value in daemon.cli("ps")["memory"].items()}


def row(daemon, name):
    return next(model["state"] for model in daemon.cli("ps")["models"]
                if model["state"]["name"] == name)


def reads(daemon):
    """How many components were read from disk since the start."""
    return daemon.log.read_text(errors="replace").count(" read in ")


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


@pytest.mark.parametrize("kind", ["file", "sharded"])
def test_workers_that_start_together_find_it(serve, models, fixtures, kind):
    fixtures.KINDS[kind](models, 2)
    daemon = serve()
    model, = daemon.cli("list")["models"]

    def work(number):
        with warmset.connect(str(daemon.socket)) as session:
            for _ in range(20):
                path = pathlib.Path(session.path(model["name"]))
                files = list(path.glob("*.safetensors")) if path.is_dir() else [path]
                assert files
                for file in files:
                    with open(file, "rb") as opened:
                        assert opened.read(8)
                if number == 0:
                    daemon.cli("cache", model["name"])

    with concurrent.futures.ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(8)))


def write_split_gguf(folder, parts=3):
    import gguf
    import numpy

    writer = gguf.GGUFWriter(folder / "big.gguf", "llama", split_max_tensors=1)
    for i in range(parts):
        writer.add_tensor(f"blk.{i}.attn_q.weight",
                          numpy.full((64, 1024), i + 1, dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(folder.glob("big-*.gguf"))


def test_a_split_gguf_is_its_first_part_with_the_others_beside(serve, models):
    files = write_split_gguf(models)
    assert len(files) == 3
    daemon = serve()
    model, = daemon.cli("list")["models"]
    reply = daemon.cli("path", model["name"])
    path = pathlib.Path(reply["path"])
    assert path.name == "big-00001-of-00003.gguf"
    assert reply["folder"] == str(path.parent)
    assert [pathlib.Path(part["path"]).name for part in reply["parts"]] == [f.name for f in files]
    for file, part in zip(files, reply["parts"]):
        assert pathlib.Path(part["path"]).read_bytes() == file.read_bytes()
        assert os.stat(part["path"]).st_dev != os.stat(file).st_dev, "the part lies on disk"


@pytest.mark.parametrize("kind", ["sharded", "checkpoint"])
def test_every_byte_that_a_path_holds_has_a_row(serve, models, fixtures, kind):
    fixtures.KINDS[kind](models, 6)
    daemon = serve()
    model, = daemon.cli("list")["models"]
    name = model["name"]
    daemon.cli("path", name)
    held = memory(daemon)["entries"]
    assert held >= 6 * MIB
    assert abs(int(row(daemon, name)["raw_bytes"]) - held) < MIB  # but for indexes and pages
    daemon.cli("cache", name)
    held = memory(daemon)["entries"]
    assert abs(int(row(daemon, name)["raw_bytes"]) - held) < MIB
    freed = int(daemon.cli("uncache", name)["freed_bytes"])
    assert abs(freed - held) < MIB
    assert memory(daemon).get("entries", 0) == 0


def test_a_path_that_is_asked_for_again_reads_nothing(serve, models, fixtures):
    fixtures.make_sharded(models, 6)
    daemon = serve()
    model, = daemon.cli("list")["models"]
    first = daemon.cli("path", model["name"])["path"]
    before = reads(daemon), memory(daemon)["entries"]
    for _ in range(3):
        assert daemon.cli("path", model["name"])["path"] == first
    assert (reads(daemon), memory(daemon)["entries"]) == before


def test_a_path_ends_with_its_models_time(serve, models, fixtures):
    fixtures.make_checkpoint(models, 3)
    daemon = serve()
    daemon.cli("cache", "checkpoint", "--keep", "1s")
    path = daemon.cli("path", "checkpoint")["path"]
    wait_until(lambda: not os.path.lexists(path), "the end of a path whose model's time is over")
    wait_until(lambda: memory(daemon).get("entries", 0) == 0, "its memory")


def test_the_end_of_the_daemon_leaves_nothing(serve, models, fixtures):
    fixtures.make_file(models, 1)
    daemon = serve()
    path = daemon.cli("path", "tiny")["path"]
    daemon.cli("shutdown")
    daemon.process.wait(10)
    assert not os.path.lexists(path)

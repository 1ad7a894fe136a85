"""Files that clients pass by descriptor: whose they are, over saves, links and deletions."""

import os

import pytest

from harness.daemon import MIB, wait_until


def attach(session, path, claimed=None):
    """The component's bytes and its lease, as the drop-in attaches a file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return session.attach("", fds=[fd], file=True, file_path=str(claimed or path))[0]
    finally:
        os.close(fd)


def load(daemon, path, claimed=None):
    with daemon.session() as session:
        return attach(session, path, claimed).read()


def names(daemon):
    return [model["name"] for model in daemon.call("list_models").get("models", ())]


def save_by_rename(fixtures, path, number):
    """As safetensors 0.8 does. The bytes that the path leads to now."""
    fresh = fixtures.save(path.with_name("incoming"), fixtures.layers(1, 1, f"save{number}"))
    content = fresh.read_bytes()
    fresh.rename(path)
    return content


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("inside", [True, False])
def test_twenty_saves_by_rename_are_one_model(serve, models, outside, fixtures, inside):
    path = (models if inside else outside) / "ckpt.safetensors"
    save_by_rename(fixtures, path, -1)
    daemon = serve("--watch", "off")
    for number in range(20):
        content = save_by_rename(fixtures, path, number)
        assert load(daemon, path) == content
        assert names(daemon) == ["ckpt.safetensors"]
    wait_until(lambda: daemon.memory()["entries"] <= 1.5 * MIB, "one entry at most")
    daemon.cli("scan")
    assert names(daemon) == ["ckpt.safetensors"]
    with daemon.session() as session:
        assert session.attach("ckpt.safetensors")[0].read() == content


def test_a_passed_file_that_a_scan_finds_was_used(serve, models, fixtures):
    daemon = serve("--watch", "off")
    path = models / "ckpt.safetensors"
    content = save_by_rename(fixtures, path, 1)
    assert load(daemon, path) == content
    used = daemon.state("ckpt")["last_used_unix_ms"]
    daemon.cli("scan")
    wait_until(lambda: names(daemon) == ["ckpt.safetensors"], "one model")
    assert daemon.state("ckpt")["last_used_unix_ms"] == used


def test_each_save_while_the_one_before_is_held(serve, outside, fixtures):
    path = outside / "ckpt.safetensors"
    daemon = serve("--watch", "off")
    with daemon.session() as session:
        held = []
        for number in range(5):
            content = save_by_rename(fixtures, path, number)
            held.append((attach(session, path), content))
        for attached, content in held:
            assert attached.read() == content
        assert names(daemon) == ["ckpt.safetensors"]
    wait_until(lambda: daemon.memory()["uncached_but_mapped"] == 0, "what was dropped to go")
    assert daemon.memory()["entries"] <= 1.5 * MIB


def test_a_shard_saved_anew_is_a_revision_of_its_model(serve, models, fixtures):
    folder = fixtures.make_sharded(models, 2)
    daemon = serve("--watch", "off")
    name, = names(daemon)
    shard = sorted((folder if folder.is_dir() else models).glob("**/*.safetensors"))[0]
    fresh = shard.with_name("incoming")
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    fresh.write_bytes(content)
    fresh.rename(shard)
    load(daemon, shard)
    assert names(daemon) == [name]


def test_deleted_files_leave_list_and_ram(serve, outside, fixtures):
    daemon = serve("--watch", "off")
    for number in range(10):
        folder = outside / str(number)
        folder.mkdir()
        path = folder / "checkpoint.safetensors"
        content = save_by_rename(fixtures, path, number)
        assert load(daemon, path) == content
        path.unlink()
    # By the time the next one came, those before had gone.
    assert len(names(daemon)) <= 2
    daemon.cli("scan")
    wait_until(lambda: daemon.cli("scan") and names(daemon) == [], "an empty list")
    assert daemon.memory()["entries"] == 0


def test_a_deleted_file_stays_while_it_is_held(serve, outside, fixtures):
    path = outside / "held.safetensors"
    daemon = serve("--watch", "off")
    content = save_by_rename(fixtures, path, 0)
    with daemon.session() as session:
        attached = attach(session, path)
        path.unlink()
        daemon.cli("scan")
        assert names(daemon) == ["held.safetensors"] and daemon.leases("held.safetensors") == 1
        assert attached.read() == content
    wait_until(lambda: names(daemon) == [], "it to leave with its holder")
    assert daemon.memory()["entries"] == 0


def test_a_file_that_is_deleted_before_it_is_passed(serve, outside, fixtures):
    path = outside / "gone.safetensors"
    daemon = serve("--watch", "off")
    content = save_by_rename(fixtures, path, 0)
    fd = os.open(path, os.O_RDONLY)
    path.unlink()
    try:
        with daemon.session() as session:
            attached = session.attach("", fds=[fd], file=True, file_path=str(path))[0]
            assert attached.read() == content
    finally:
        os.close(fd)
    wait_until(lambda: names(daemon) == [], "it to leave with its holder")


def reuse_inode(path, other, content):
    """Writes another file under the inode that `path` had; skips where that can't be had."""
    inode = path.stat().st_ino
    path.unlink()
    for attempt in range(200):
        other.write_bytes(content)
        if other.stat().st_ino == inode:
            return
        other.rename(other.with_name(f"spare{attempt}"))
    pytest.skip("this file system does not give an inode again")


@pytest.mark.parametrize("inside", [True, False])
def test_a_reused_inode_is_another_file(serve, models, outside, fixtures, inside):
    """Its size and mtime are those of the earlier file, too."""
    path = (models if inside else outside) / "lora.safetensors"
    other = outside / "model-00001-of-00005.safetensors"
    fixtures.save(path, fixtures.layers(1, 1, "same"))
    first = path.read_bytes()
    stat = path.stat()
    second = bytearray(first)
    second[-1] ^= 1
    daemon = serve("--watch", "off")
    assert load(daemon, path) == first
    reuse_inode(path, other, bytes(second))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert load(daemon, other) == bytes(second)
    assert names(daemon) == [other.name]


def test_hard_links_are_one_entry(serve, outside, fixtures):
    path, other = outside / "a.safetensors", outside / "b.safetensors"
    daemon = serve("--watch", "off")
    content = save_by_rename(fixtures, path, 0)
    assert load(daemon, path) == content
    os.link(path, other)
    assert load(daemon, other) == content
    assert load(daemon, path) == content
    assert daemon.memory()["entries"] <= 1.5 * MIB


def test_what_a_client_calls_a_file_is_a_claim(serve, models, outside, fixtures):
    known = fixtures.save(models / "known.safetensors", fixtures.layers(1, 1, "known"))
    path = outside / "other.safetensors"
    content = save_by_rename(fixtures, path, 0)
    daemon = serve("--watch", "off")
    assert load(daemon, path, claimed=known) == content
    with daemon.session() as session:
        assert session.attach("known.safetensors")[0].read() == known.read_bytes()
    # A path that leads nowhere here, as that of a container's.
    elsewhere = save_by_rename(fixtures, outside / "third.safetensors", 1)
    assert load(daemon, outside / "third.safetensors", claimed="/nowhere/m.safetensors") == elsewhere


def test_an_entry_that_left_ram_takes_its_model_along(serve, outside, fixtures):
    daemon = serve("--watch", "off")
    path = outside / "m.safetensors"
    save_by_rename(fixtures, path, 0)
    load(daemon, path)
    daemon.cli("uncache", "m.safetensors")
    wait_until(lambda: names(daemon) == [], "it to be forgotten")
    load(daemon, path)
    assert names(daemon) == ["m.safetensors"]

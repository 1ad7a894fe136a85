"""A limit of the control group that the daemon runs in, version 1 or 2."""

import os
import pathlib

import pytest

from harness.daemon import MIB, Daemon

LIMIT = 320 * MIB


def _make(limit):
    """A group below this process's own with a limit; nothing where none can be made."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            mount, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
        elif not controllers:
            mount, file = "/sys/fs/cgroup", "memory.max"
        else:
            continue
        folder = pathlib.Path(f"{mount}{group.rstrip('/')}/warmset-test-{os.getpid()}")
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / file).write_text(str(limit))
            return folder
        except OSError:
            folder.rmdir()
    return None


@pytest.fixture
def group(monkeypatch):
    """Daemons start in a group with a limit. Asked for before `serve`, it goes after them."""
    folder = _make(LIMIT)
    if folder is None:
        pytest.skip("no cgroup with a limit can be made here")
    start = Daemon.start

    def enter(procs):
        procs.write_text(str(os.getpid()))

    def start_inside(daemon):
        enter(folder / "cgroup.procs")  # the child inherits it
        try:
            return start(daemon)
        finally:
            enter(folder.parent / "cgroup.procs")

    monkeypatch.setattr(Daemon, "start", start_inside)
    yield folder
    folder.rmdir()


def test_a_share_is_of_the_groups_limit(group, serve):
    daemon = serve(ram_limit="50%")
    assert daemon.memory()["limit"] <= LIMIT // 2


def test_a_small_group_has_room_by_default(group, serve, models, fixtures):
    fixtures.save(models / "a.safetensors", fixtures.layers(1, 64, prefix="a"))
    daemon = serve(ram_limit="50%")
    assert daemon.cli("cache", "a")["state"]["cache_state"] == "cached"
    assert "its cgroup leaves" in daemon.run("doctor").stdout


def test_a_limit_above_the_groups_is_no_danger(group, serve, models, fixtures):
    for name in "abcdef":
        fixtures.save(models / f"{name}.safetensors", fixtures.layers(1, 80, prefix=name))
    daemon = serve("--keep-free", "32MiB", ram_limit="3GiB")
    for name in "abcdef":
        assert daemon.cli("cache", name)["state"]["cache_state"] == "cached"
    memory = daemon.memory()
    assert memory["limit"] < LIMIT < memory["configured_limit"]
    assert daemon.process.poll() is None

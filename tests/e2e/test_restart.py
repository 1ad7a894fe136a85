"""A daemon that is killed and started again, with clients that stay."""

import pytest

from harness.clients import ATTACH, expect, finish, say
from harness.daemon import MIB, wait_until
from harness.loads import cache_until_midway, large_cold_file

CARD = ("--device", "host:0,memory=64MiB,pool=dedicated")


def test_what_was_warm_comes_back(serve, models, fixtures):
    fixtures.make_file(models, 8)
    fixtures.make_diffusers(models / "sd", 8)
    daemon = serve(*CARD)
    daemon.cli("load", "tiny")
    daemon.cli("cache", "sd", "--component", "vae")
    daemon.kill()
    daemon.start()
    wait_until(lambda: daemon.state("tiny")["cache_state"] == "CACHED", "the cached model")
    wait_until(lambda: daemon.state("tiny").get("devices"), "its placement")
    wait_until(lambda: daemon.state("sd")["cache_state"] == "PARTLY_CACHED", "the component")
    assert int(daemon.call("scan").get("headers_read", 0)) == 0, "the catalog survived"


def test_what_was_dropped_stays_away(serve, models, fixtures):
    fixtures.make_file(models, 8)
    daemon = serve(*CARD)
    daemon.cli("load", "tiny")
    daemon.cli("unload", "tiny")
    daemon.cli("uncache", "tiny")
    daemon.kill()
    daemon.start()
    assert daemon.cli("ps")["models"] == []


@pytest.mark.parametrize("limit", ["96MiB", "48MiB"])
def test_leases_of_the_dead_daemon_count(serve, models, fixtures, limit):
    """What a client still maps is within the limit, so RAM is not doubled past it."""
    fixtures.make_file(models, 32)
    daemon = serve(ram_limit=limit)
    code = ATTACH + """
before = model["model.layers.0.weight"].numpy().tobytes()
sys.stdin.readline()
assert model["model.layers.0.weight"].numpy().tobytes() == before
print("read", flush=True)
sys.stdin.readline()
session.state("tiny")
print("reconnected", flush=True)
sys.stdin.read()
"""
    client = daemon.python(code, "tiny")
    expect(client, "attached")
    daemon.kill()
    say(client)
    expect(client, "read")  # without any daemon
    daemon.start()
    memory = daemon.memory()
    assert memory["orphaned"] >= 32 * MIB, memory
    assert daemon.memory_used() <= memory["limit"], memory
    say(client)
    expect(client, "reconnected")
    if limit == "96MiB":
        wait_until(lambda: daemon.state("tiny")["cache_state"] == "CACHED", "the desired state")
    memory = daemon.memory()
    assert 32 * MIB <= memory["orphaned"] < 64 * MIB, "counted once"
    assert daemon.memory_used() <= memory["limit"], memory
    finish(client)
    wait_until(lambda: daemon.memory()["orphaned"] == 0, "the end of the last mapping")
    assert daemon.cli("cache", "tiny")["state"]["cache_state"] == "cached"
    assert daemon.leases("tiny") == 0


def test_a_client_attaches_again_after_a_restart(serve, models, fixtures):
    fixtures.make_file(models, 4)
    daemon = serve()
    code = ATTACH + """
first = model["model.layers.0.weight"].numpy()
sys.stdin.readline()
second = session.attach("tiny")["model.layers.0.weight"].numpy()
assert first.tobytes() == second.tobytes()
print("again", flush=True)
sys.stdin.read()
"""
    client = daemon.python(code, "tiny")
    expect(client, "attached")
    daemon.kill()
    daemon.start()
    say(client)
    expect(client, "again")
    finish(client)


def test_killed_in_mid_load(serve, models, fixtures):
    large_cold_file(models, fixtures)
    daemon = serve()
    with daemon.session() as session:
        cache_until_midway(session, "tiny")
        daemon.kill()
    daemon.start()
    assert daemon.cli("cache", "tiny")["state"]["cache_state"] == "cached"


def test_a_damaged_catalog_is_put_aside(serve, models, fixtures):
    fixtures.make_file(models, 1)
    daemon = serve()
    daemon.cli("shutdown")
    daemon.process.wait(10)
    damaged = [file for file in daemon.home.rglob("*") if file.is_file()
               and file.suffix not in (".lock",)]
    assert damaged
    for file in damaged:
        file.write_bytes(b"\xa5" * 8192)
    daemon.start()
    assert daemon.cli("cache", "tiny")["state"]["cache_state"] == "cached"

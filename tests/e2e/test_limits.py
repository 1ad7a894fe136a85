"""The RAM limit: kept at every moment, with the oldest making room."""

import pytest

from harness.daemon import MIB, CommandFailed


def test_a_model_larger_than_the_limit(serve, models, fixtures):
    fixtures.make_file(models, 48)
    fixtures.save(models / "small.safetensors", fixtures.layers(1, 8))
    daemon = serve(ram_limit="32MiB")
    daemon.cli("cache", "small")
    for command in ("cache", "load", "path"):
        with pytest.raises(CommandFailed) as failure:
            daemon.cli(command, "tiny")
        assert failure.value.code == "ram_limit_exceeded"
        assert "32" in failure.value.stderr and "tiny" in failure.value.stderr
    assert daemon.state("small")["cache_state"] == "CACHED", "evicted for what can never fit"
    assert daemon.state("tiny")["cache_state"] in ("UNCACHED", "CACHE_ERROR")
    assert daemon.memory()["loading"] == 0


def test_the_least_recently_used_makes_room(serve, models, fixtures):
    for name in "abc":
        fixtures.save(models / f"{name}.safetensors", fixtures.layers(1, 12, prefix=name))
    daemon = serve("--eviction", "lru", ram_limit="32MiB")
    daemon.cli("cache", "a")
    daemon.cli("cache", "b")
    daemon.cli("cache", "a")
    reply = daemon.cli("cache", "c")
    assert [evicted.split("/")[0] for evicted in reply["evicted"]] == ["b.safetensors"]
    assert [daemon.state(name)["cache_state"] for name in "abc"] == ["CACHED", "UNCACHED", "CACHED"]
    assert daemon.memory_used() <= 32 * MIB


def test_what_is_leased_is_not_evicted(serve, models, fixtures):
    for name in "ab":
        fixtures.save(models / f"{name}.safetensors", fixtures.layers(1, 20, prefix=name))
    daemon = serve(ram_limit="32MiB")
    with daemon.session() as session:
        session.attach("a")
        with pytest.raises(CommandFailed) as failure:
            daemon.cli("cache", "b")
        assert failure.value.code == "ram_limit_exceeded"
        assert daemon.state("a")["cache_state"] == "CACHED"
    assert daemon.cli("cache", "b")["state"]["cache_state"] == "cached"


def test_memory_dropped_while_mapped_still_counts(serve, models, fixtures):
    for name in "ab":
        fixtures.save(models / f"{name}.safetensors", fixtures.layers(1, 20, prefix=name))
    daemon = serve(ram_limit="32MiB")
    with daemon.session() as session:
        session.attach("a")
        reply = daemon.cli("uncache", "a")
        assert int(reply["freed_bytes"]) == 0 and reply["kept"]
        assert daemon.memory()["uncached_but_mapped"] >= 19 * MIB
        with pytest.raises(CommandFailed) as failure:
            daemon.cli("cache", "b")
        assert failure.value.code == "ram_limit_exceeded"
    assert daemon.cli("cache", "b")["state"]["cache_state"] == "cached"
    assert daemon.memory()["uncached_but_mapped"] == 0


def test_two_clients_one_load(serve, models, fixtures):
    """Both ask before the first is answered; both get the same memory, read once."""
    size = fixtures.make_file(models, 32).stat().st_size
    daemon = serve()
    sessions = [daemon.session() for _ in range(3)]
    with daemon.stopped():
        numbers = [session.send("attach", {"model": "tiny"}) for session in sessions]
    memory = {attached.inodes for session, number in zip(sessions, numbers)
              for attached in session.attached(number)}
    assert len(memory) == 1
    assert daemon.memory()["entries"] <= size + 2 * MIB
    for session in sessions:
        session.close()


def test_requests_that_arrive_together_are_joined(serve, models, fixtures):
    """A second load beside the first would not fit."""
    size = fixtures.make_file(models, 32).stat().st_size
    daemon = serve(ram_limit="48MiB")
    sessions = [daemon.session() for _ in range(3)]
    with daemon.stopped():
        numbers = [session.send("cache", {"model": "tiny"}) for session in sessions]
    replies = [session.responses(number)[-1][0]["cache"]
               for session, number in zip(sessions, numbers)]
    for session in sessions:
        session.close()
    assert all(reply["state"]["cache_state"] == "CACHED" for reply in replies)
    assert daemon.memory()["entries"] <= size + 2 * MIB

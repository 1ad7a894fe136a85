"""What is loaded before somebody asks for it, and what is not."""

import os
import time

import pytest

from harness.daemon import CommandFailed, MIB, wait_until

BASE, LORA, FILLER = "base.safetensors", "lora.safetensors", "filler.safetensors"


def cached(daemon, name):
    return daemon.state(name)["cache_state"] == "CACHED"


def preloads(daemon, reason):
    """Counts of preloads for that reason; what is not in it is 0."""
    for counts in daemon.cli("ps", "--usage").get("preloads", ()):
        if counts["reason"] == reason:
            return {name: int(counts.get(name, 0))
                    for name in ("issued", "loaded", "failed", "used", "unused")}
    return dict.fromkeys(("issued", "loaded", "failed", "used", "unused"), 0)


def attach(daemon, *names):
    """Uses the models one after another, as one program, and lets go of them."""
    for name in names:
        with daemon.session() as session:
            session.attach(name)


@pytest.fixture
def pipeline(models, fixtures):
    for name, mib in ((BASE, 8), (LORA, 4), (FILLER, 61)):
        fixtures.save(models / name, {name: ("U8", [mib * MIB])})


def empty_ram(daemon):
    """By eviction, as other models do it; `uncache` would say that they are not wanted."""
    daemon.cli("cache", FILLER)
    assert not cached(daemon, BASE) and not cached(daemon, LORA)
    daemon.cli("uncache", FILLER)


def test_a_hint_reads_behind_the_caller(serve, pipeline):
    daemon = serve()
    reply = daemon.cli("preload", BASE)
    assert reply["state"]["name"] == BASE
    wait_until(lambda: cached(daemon, BASE), "a preloaded model")
    assert preloads(daemon, "hint") == {"issued": 1, "loaded": 1, "failed": 0, "used": 0,
                                        "unused": 0}
    attach(daemon, BASE)
    usage = daemon.cli("ps", "--usage")
    assert preloads(daemon, "hint")["used"] == 1
    assert usage["preload_success"] == 1 and usage["preload_hit_rate"] == 1
    assert usage["preload_coverage"] == 1
    attach(daemon, LORA)  # waits for its load
    assert daemon.cli("ps", "--usage")["preload_coverage"] == 0.5
    again = daemon.run("preload", BASE)
    assert "is in RAM already" in again.stdout


def test_a_hint_may_take_the_place_of_others(serve, pipeline):
    daemon = serve(ram_limit="64MiB")
    daemon.cli("cache", FILLER)
    daemon.cli("preload", BASE)
    wait_until(lambda: cached(daemon, BASE), "a preloaded model")
    assert not cached(daemon, FILLER)


def test_a_demand_joins_the_preload(serve, models, fixtures):
    fixtures.save(models / BASE, {"weight": ("U8", [256 * MIB])})
    daemon = serve()
    os.posix_fadvise(fd := os.open(models / BASE, os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    with daemon.session() as session:
        session.call("preload_model", model=BASE)
        session.attach(BASE)
    reads = [line for line in daemon.log.read_text().splitlines()
             if BASE in line and ("MiB read" in line or "preloaded" in line)]
    assert len(reads) == 1, reads
    counts = preloads(daemon, "hint")  # the demand may have been first
    assert counts["issued"] == counts["loaded"] == counts["used"]


def test_what_cannot_be_preloaded_is_refused_at_once(serve, pipeline, models):
    (models / "broken.safetensors").write_bytes(b"\xff" * 4096)
    daemon = serve()
    for arguments, code in ((("none",), "model_not_found"),
                            ((BASE, "--component", "none"), "component_not_found")):
        with pytest.raises(CommandFailed) as failed:
            daemon.cli("preload", *arguments)
        assert failed.value.code == code


def test_companions_are_loaded_beside_their_base(serve, pipeline):
    daemon = serve(ram_limit="64MiB")
    attach(daemon, *[BASE, LORA] * 3)
    empty_ram(daemon)
    attach(daemon, BASE)
    wait_until(lambda: cached(daemon, LORA), "the companion")
    assert preloads(daemon, "companion")["loaded"] == 1
    attach(daemon, LORA)
    assert preloads(daemon, "companion")["used"] == 1


def test_habits_survive_a_restart(serve, pipeline):
    daemon = serve(ram_limit="64MiB")
    attach(daemon, *[BASE, LORA] * 3)
    empty_ram(daemon)
    daemon.end()
    daemon.start()
    assert not cached(daemon, LORA)
    attach(daemon, BASE)
    wait_until(lambda: cached(daemon, LORA), "the companion")


def test_a_companion_takes_nobodys_place(serve, pipeline):
    daemon = serve(ram_limit="71MiB")
    attach(daemon, *[BASE, LORA] * 3)
    daemon.cli("cache", BASE, "--priority", "high")
    daemon.cli("cache", FILLER)
    assert cached(daemon, FILLER) and cached(daemon, BASE) and not cached(daemon, LORA)
    attach(daemon, BASE)
    time.sleep(0.5)
    assert not cached(daemon, LORA) and cached(daemon, FILLER)
    assert preloads(daemon, "companion")["issued"] == 0


def test_what_was_uncached_is_not_brought_back(serve, pipeline):
    daemon = serve()
    attach(daemon, *[BASE, LORA] * 3)
    daemon.cli("uncache", LORA)
    attach(daemon, BASE)
    time.sleep(0.5)
    assert not cached(daemon, LORA)


def test_what_was_uncached_stays_out_after_a_restart(serve, pipeline):
    daemon = serve()
    attach(daemon, *[BASE, LORA] * 3)
    daemon.cli("uncache", LORA)
    daemon.end()
    daemon.start()
    attach(daemon, BASE)
    time.sleep(0.5)
    assert not cached(daemon, LORA)
    attach(daemon, LORA)  # wanted again
    daemon.cli("cache", FILLER)
    assert cached(daemon, LORA)


def test_a_name_that_was_wrong_once_keeps_nothing_out(serve, pipeline):
    daemon = serve()
    with pytest.raises(CommandFailed):
        daemon.cli("cache", BASE, "--component", "typo")
    daemon.cli("preload", BASE)
    wait_until(lambda: cached(daemon, BASE), "a preloaded model")


def test_companions_can_be_switched_off(serve, pipeline):
    daemon = serve("--preload-companions", "off", ram_limit="64MiB")
    attach(daemon, *[BASE, LORA] * 3)
    empty_ram(daemon)
    attach(daemon, BASE)
    time.sleep(0.5)
    assert not cached(daemon, LORA)


def test_popular_models_come_into_free_memory(serve, pipeline):
    daemon = serve(ram_limit="64MiB")
    for _ in range(25):  # 2500 uses: predictions are made, and checked often enough
        with daemon.session() as session:
            for _ in range(50):
                session.attach(BASE)
                session.attach(LORA)
    empty_ram(daemon)
    wait_until(lambda: cached(daemon, BASE) and cached(daemon, LORA), "the popular models")
    assert preloads(daemon, "popular")["loaded"] == 2
    assert not cached(daemon, FILLER)  # asked for once

    daemon.cli("cache", FILLER)
    daemon.end()
    daemon.start()
    wait_until(lambda: cached(daemon, FILLER), "what was in RAM")
    daemon.cli("uncache", FILLER)
    wait_until(lambda: cached(daemon, BASE) and cached(daemon, LORA), "them after a restart")


def test_a_restart_counts_as_a_preload(serve, pipeline):
    daemon = serve()
    attach(daemon, BASE)
    daemon.end()
    daemon.start()
    wait_until(lambda: cached(daemon, BASE), "what was in RAM")
    assert preloads(daemon, "restart")["loaded"] == 1
    attach(daemon, BASE)
    assert preloads(daemon, "restart")["used"] == 1


def test_a_schedule_is_kept(serve, pipeline):
    daemon = serve("--preload-at", f"* * * * * {BASE}", "--preload-at", "* * * * * none")
    wait_until(lambda: cached(daemon, BASE), "the next minute", patience=90)
    assert preloads(daemon, "schedule")["loaded"] == 1
    assert "not preloaded as scheduled" in daemon.log.read_text()

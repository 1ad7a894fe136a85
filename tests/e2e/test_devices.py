"""Devices: pools and budgets, and workers that die, hang and come back."""

import os
import signal

import pytest

from harness.daemon import MIB, CommandFailed, alive, wait_until
from harness.session import Refused

CARD = ("--device", "host:0,memory=64MiB,pool=dedicated")


def device_bytes(daemon, device="host:0"):
    return int(daemon.device(device).get("memory_used", 0))


def test_the_dedicated_pool_is_a_copy_with_a_budget(serve, models, fixtures):
    fixtures.make_file(models, 16)
    daemon = serve(*CARD)
    assert int(daemon.device()["memory_limit"]) == 64 * MIB
    assert daemon.cli("load", "tiny")["pool"] == "dedicated"
    wait_until(lambda: device_bytes(daemon) >= 16 * MIB, "the worker's own figure")
    daemon.cli("uncache", "tiny")
    state = daemon.state("tiny")
    assert state["cache_state"] == "UNCACHED" and state["devices"][0]["device"] == "host:0"
    assert int(daemon.cli("unload", "tiny")["freed_bytes"]) >= 16 * MIB
    wait_until(lambda: device_bytes(daemon) == 0, "an empty device")


def test_the_shared_pool_uses_the_entrys_pages(serve, models, fixtures):
    fixtures.make_file(models, 16)
    daemon = serve(*CARD)
    daemon.cli("load", "tiny", "--pool", "shared")
    assert device_bytes(daemon) == 0
    wait_until(lambda: int(daemon.device().get("shared_bytes", 0)) >= 16 * MIB, "shared bytes")
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("uncache", "tiny")
    assert failure.value.code == "in_use" and "host:0" in failure.value.stderr
    daemon.cli("unload", "tiny")
    daemon.cli("uncache", "tiny")


def test_a_budget_that_is_too_small(serve, models, fixtures):
    fixtures.make_file(models, 80)
    fixtures.save(models / "small.safetensors", fixtures.layers(1, 40, "small"))
    fixtures.save(models / "other.safetensors", fixtures.layers(1, 40, "other"))
    daemon = serve(*CARD)
    daemon.cli("load", "small")
    for model in ("tiny", "other"):
        with pytest.raises(CommandFailed) as failure:
            daemon.cli("load", model)
        assert failure.value.code == "insufficient_device_memory"
        assert "64.0 MiB" in failure.value.stderr and model in failure.value.stderr
    assert [placed["device"] for placed in daemon.state("small")["devices"]] == ["host:0"]
    assert daemon.state("tiny").get("devices", []) == []
    daemon.cli("unload", "small")
    daemon.cli("load", "other")


def test_several_devices(serve, models, fixtures):
    fixtures.make_file(models, 8)
    daemon = serve(*CARD, "--device", "host:1,memory=32MiB,pool=dedicated")
    for device in ("host:0", "host:1"):
        daemon.cli("load", "tiny", "--device", device)
    where = {placed["device"] for placed in daemon.state("tiny")["devices"]}
    assert where == {"host:0", "host:1"}
    daemon.cli("unload", "tiny", "--device", "host:0")
    assert [placed["device"] for placed in daemon.state("tiny")["devices"]] == ["host:1"]


def test_components_are_placed_apart(serve, models, fixtures):
    fixtures.make_checkpoint(models, 12)
    daemon = serve(*CARD)
    parts = daemon.call("get_model_detail", name="checkpoint")["components"]
    daemon.cli("load", "checkpoint", "--component", parts[0]["name"])
    detail = daemon.call("get_model_detail", name="checkpoint")["components"]
    placed = {part["name"] for part in detail if part.get("devices")}
    assert placed == {parts[0]["name"]}


def test_an_unload_leaves_what_another_model_has_loaded(serve, models, fixtures):
    fixtures.make_file(models, 16)
    os.link(models / "tiny.safetensors", models / "twin.safetensors")
    daemon = serve(*CARD)
    daemon.cli("load", "tiny")
    daemon.cli("load", "twin")
    kept = daemon.cli("unload", "tiny")["kept"]
    assert "twin" in kept[0]["reason"]
    assert daemon.state("twin")["devices"]
    assert int(daemon.cli("unload", "twin")["freed_bytes"]) >= 16 * MIB


def test_attach_from_the_device(serve, models, fixtures):
    fixtures.save(models / "tiny.safetensors", fixtures.layers(2, 8))
    daemon = serve(*CARD)
    with daemon.session() as session:
        with pytest.raises(Refused) as refused:
            session.attach("tiny", device="host:0")
        assert refused.value.code == "not_loaded"
        daemon.cli("load", "tiny")
        attached, = session.attach("tiny", device="host:0")
        content = fixtures.content("model.layers.0.weight", 4 * MIB)
        assert content in attached.read()
        with pytest.raises(CommandFailed) as failure:
            daemon.cli("unload", "tiny")
        assert failure.value.code == "in_use" and str(os.getpid()) in failure.value.stderr
    wait_until(lambda: daemon.state("tiny").get("leases", 0) == 0, "the end of the lease")
    daemon.cli("unload", "tiny")


def test_a_worker_killed_while_its_placement_is_leased(serve, models, fixtures):
    fixtures.save(models / "tiny.safetensors", fixtures.layers(2, 8))
    daemon = serve(*CARD)
    daemon.cli("load", "tiny")
    worker = daemon.device()["worker_pid"]
    with daemon.session() as session:
        attached, = session.attach("tiny", device="host:0")
        before = attached.read()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: daemon.device()["worker_state"] == "ready"
                   and daemon.device().get("worker_pid", worker) != worker, "another worker")
        assert daemon.device()["worker_restarts"] == 1
        assert attached.read() == before, "a lease's bytes stay"
        wait_until(lambda: daemon.state("tiny").get("devices"), "the placement to come back")
    daemon.check()


def test_a_worker_killed_in_mid_load(serve, models, fixtures):
    fixtures.make_file(models, 512)
    fixtures.save(models / "bystander.safetensors", fixtures.layers(1, 2, "bystander"))
    daemon = serve("--device", "host:0,memory=1GiB,pool=dedicated", ram_limit="2GiB")
    daemon.cli("load", "bystander")
    daemon.cli("cache", "tiny")
    worker = daemon.device()["worker_pid"]
    with daemon.session() as session:
        os.kill(worker, signal.SIGSTOP)  # it takes the command when it is dying
        number = session.send("load", {"model": "tiny"})
        wait_until(lambda: daemon.state("tiny"), "the daemon's next turn")
        os.kill(worker, signal.SIGKILL)
        try:
            session.responses(number)
        except Refused as refused:
            assert refused.code == "device_unavailable"
    wait_until(lambda: daemon.device()["worker_state"] == "ready", "another worker")
    wait_until(lambda: daemon.state("bystander").get("devices"), "what was there before")
    daemon.cli("load", "tiny")
    daemon.check()


@pytest.mark.parametrize("back", [signal.SIGCONT, signal.SIGKILL])
def test_a_worker_that_is_stopped(serve, models, fixtures, back):
    fixtures.make_file(models, 8)
    fixtures.save(models / "other.safetensors", fixtures.layers(1, 2, "other"))
    daemon = serve(*CARD)
    daemon.cli("load", "tiny")
    worker = daemon.device()["worker_pid"]
    os.kill(worker, signal.SIGSTOP)
    try:
        wait_until(lambda: daemon.device()["worker_state"] == "stalled", "a stalled worker")
        assert not daemon.device()["sync"].get("in_sync")
        with pytest.raises(CommandFailed) as failure:
            daemon.cli("load", "other")
        assert failure.value.code == "device_unavailable"
        # RAM does not depend on it.
        assert daemon.cli("cache", "other")["state"]["cache_state"] == "cached"
    finally:
        os.kill(worker, back)
    wait_until(lambda: daemon.device()["worker_state"] == "ready", "a worker that answers")
    wait_until(lambda: daemon.state("tiny").get("devices"), "the placement")
    daemon.cli("load", "other")


def test_a_worker_that_dies_again_and_again(serve, models, fixtures):
    fixtures.make_file(models, 2)
    daemon = serve(*CARD)
    seen = set()
    for _ in range(3):
        worker = wait_until(lambda: next(
            (pid for pid in [daemon.device().get("worker_pid", 0)] if pid and pid not in seen), 0),
            "a new worker")
        seen.add(worker)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: not alive(worker), "its end")
        assert daemon.cli("cache", "tiny")["state"]["cache_state"] == "cached"
    wait_until(lambda: daemon.device()["worker_state"] == "ready", "a worker in the end")
    daemon.cli("load", "tiny")


def test_two_clients_load_at_once(serve, models, fixtures):
    fixtures.make_file(models, 24)
    daemon = serve(*CARD)
    sessions = [daemon.session() for _ in range(3)]
    with daemon.stopped():
        numbers = [session.send("load", {"model": "tiny"}) for session in sessions]
    for session, number in zip(sessions, numbers):
        assert session.responses(number)[-1][0]["load"]["device"] == "host:0"
        session.close()
    assert len(daemon.call("get_worker_state", device="host:0")["placements"]) == 1

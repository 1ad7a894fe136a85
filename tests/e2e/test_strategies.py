"""How models are kept in RAM: raw, compressed, or both, and what stays when it is full."""

import mmap
import os
import signal
import time

import pytest
import torch
from safetensors.torch import save_file

from harness.daemon import CommandFailed, wait_until
from harness.session import Refused

MIB = 1 << 20

def write_weights(path, mib=8, seed=0, dtype=torch.bfloat16):
    """Weights as trained ones are distributed."""
    generator = torch.Generator().manual_seed(seed)
    rows = mib * MIB // 2 // 1024 // dtype.itemsize
    save_file({name: (torch.randn(rows, 1024, generator=generator) * 0.02).to(dtype)
               for name in ("a.weight", "b.weight")}, path)


def state_of(daemon, name):
    return daemon.state(name)


def wait_for(daemon, name, condition, seconds=30):
    """The model's state when the condition holds, which is soon."""
    deadline = time.monotonic() + seconds
    while True:
        state = state_of(daemon, name)
        if condition(state):
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.02)


def raw(state):
    return int(state.get("raw_bytes", 0))


def compressed(state):
    return int(state.get("compressed_bytes", 0))


def only_compressed(state):
    return compressed(state) > 0 and raw(state) == 0


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def attach_and_compare(daemon, models, name):
    with daemon.session() as session:
        component, = session.attach(name)
        assert component.read() == (models / name).read_bytes()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_memory_keeps_models_compressed(serve, models, dtype):
    name = "model.safetensors"
    write_weights(models / name, dtype=dtype)
    daemon = serve("--strategy", "memory")
    daemon.cli("cache", name)
    state = wait_for(daemon, name, only_compressed)
    assert state["cache_state"] == "CACHED" and state["strategy"] == "memory"
    assert compressed(state) < 8 * MIB * 0.9
    memory = daemon.cli("ps")["memory"]
    assert int(memory["compressed"]) >= compressed(state) and int(memory.get("entries", 0)) == 0
    attach_and_compare(daemon, models, name)
    wait_for(daemon, name, only_compressed)  # again, when it is let go
    assert daemon.cli("uncache", name)["freed_bytes"]
    assert state_of(daemon, name)["cache_state"] == "UNCACHED"
    assert int(daemon.cli("ps")["memory"].get("compressed", 0)) == 0


def test_balanced_keeps_raw_while_there_is_room(serve, models):
    for i in range(3):
        write_weights(models / f"m{i}.safetensors", seed=i)
    daemon = serve("--strategy", "balanced", ram_limit="30MiB")
    daemon.cli("cache", "m0")
    state = wait_for(daemon, "m0", lambda state: compressed(state) > 0)
    assert raw(state) > 0
    for name in ("m1", "m2"):
        daemon.cli("cache", name)
        wait_for(daemon, name, lambda state: compressed(state) > 0)
    # Three models in both forms do not fit: raw forms gave way, no model did.
    states = [state_of(daemon, f"m{i}") for i in range(3)]
    assert all(state["cache_state"] == "CACHED" and compressed(state) for state in states)
    for i in range(3):
        attach_and_compare(daemon, models, f"m{i}.safetensors")


def test_a_change_of_strategy_converts_what_is_there(serve, models):
    name = "model.safetensors"
    write_weights(models / name)
    daemon = serve()
    daemon.cli("cache", name)
    assert compressed(state_of(daemon, name)) == 0
    with daemon.session() as session:
        component, = session.attach(name)
        daemon.cli("cache", name, "--strategy", "memory")
        state = wait_for(daemon, name, lambda state: compressed(state) > 0)
        assert raw(state) > 0  # leased
        assert component.read() == (models / name).read_bytes()
    wait_for(daemon, name, only_compressed)
    daemon.cli("cache", name, "--strategy", "speed")
    wait_for(daemon, name, lambda state: raw(state) > 0 and compressed(state) == 0)
    attach_and_compare(daemon, models, name)


def test_settings_outlive_the_daemon(serve, models):
    name = "model.safetensors"
    write_weights(models / name, mib=2)
    daemon = serve()
    daemon.cli("cache", name, "--strategy", "memory", "--priority", "high", "--pin")
    daemon.end()
    daemon.start()
    state = wait_for(daemon, name, only_compressed)  # brought back, in its form
    assert state["settings"] == {"strategy": "memory", "priority": "high", "pinned": True}
    daemon.cli("cache", name, "--strategy", "default", "--no-pin")
    state = state_of(daemon, name)
    assert state["strategy"] == "speed" and state["settings"] == {"priority": "high"}


def test_pins_and_priorities_decide_what_leaves(serve, models):
    for i in range(4):
        write_weights(models / f"m{i}.safetensors", seed=i)
    daemon = serve(ram_limit="26MiB")
    daemon.cli("cache", "m0", "--pin")
    daemon.cli("cache", "m1", "--priority", "high")
    daemon.cli("cache", "m2", "--priority", "low")
    for _ in range(5):
        daemon.cli("cache", "m2")  # used most, and still the first to go
    assert daemon.cli("cache", "m3")["evicted"] == ["m2.safetensors"]
    assert daemon.cli("cache", "m2")["evicted"] == ["m3.safetensors"]
    daemon.cli("cache", "m1", "--pin")
    daemon.cli("cache", "m2", "--pin")
    with pytest.raises(CommandFailed) as error:
        daemon.cli("cache", "m3")
    assert error.value.code == "ram_limit_exceeded"
    assert all(name in str(error.value) for name in ("m0", "m1", "m2"))


def test_kept_models_leave_when_their_time_is_over(serve, models):
    write_weights(models / "model.safetensors", mib=2)
    daemon = serve()
    with daemon.session() as session:
        daemon.cli("cache", "model", "--keep", "1s")
        component, = session.attach("model")
        time.sleep(2.5)
        assert state_of(daemon, "model")["cache_state"] == "CACHED"  # it is leased
    wait_for(daemon, "model", lambda state: state["cache_state"] == "UNCACHED")


def test_equal_content_is_held_once_in_compressed_form(serve, models):
    write_weights(models / "a.safetensors")
    (models / "b.safetensors").write_bytes((models / "a.safetensors").read_bytes())
    daemon = serve("--strategy", "memory")
    daemon.cli("cache", "a")
    wait_for(daemon, "a", only_compressed)
    one = int(daemon.cli("ps")["memory"]["compressed"])
    daemon.cli("cache", "b")
    wait_for(daemon, "b", only_compressed)
    active = {model["state"]["name"]: model for model in daemon.cli("ps")["models"]}
    assert active["a.safetensors"]["shared_with"] == ["b.safetensors"]
    assert int(daemon.cli("ps")["memory"]["compressed"]) == one
    attach_and_compare(daemon, models, "b.safetensors")


def test_a_sharer_of_a_compressed_entry_is_served_again_and_again(serve, models):
    """Its id is not the one that the entry was compressed under."""
    write_weights(models / "a.safetensors")
    (models / "b.safetensors").write_bytes((models / "a.safetensors").read_bytes())
    daemon = serve("--strategy", "memory")
    for name in ("a", "b"):
        daemon.cli("cache", name)
        wait_for(daemon, name, only_compressed)
    for _ in range(3):
        attach_and_compare(daemon, models, "b.safetensors")
        wait_for(daemon, "b", only_compressed)
    daemon.cli("uncache", "a")
    attach_and_compare(daemon, models, "b.safetensors")
    state = wait_for(daemon, "b", only_compressed)
    assert daemon.memory_used() < 2 * compressed(state)


def test_what_can_not_be_compressed_for_want_of_room_stays_raw(serve, models):
    write_weights(models / "model.safetensors", mib=16)
    daemon = serve("--strategy", "memory", ram_limit="20MiB")
    daemon.cli("cache", "model")
    before = cpu_seconds(daemon.pid)
    time.sleep(1)
    assert cpu_seconds(daemon.pid) - before < 0.5  # it does not try again and again
    assert raw(state_of(daemon, "model")) > 0
    attach_and_compare(daemon, models, "model.safetensors")


def test_a_load_is_not_refused_for_what_is_being_compressed(serve, models):
    for i in range(2):
        write_weights(models / f"m{i}.safetensors", mib=64, seed=i)
    daemon = serve("--strategy", "balanced", ram_limit="115MiB")
    for _ in range(5):
        for name in ("m0", "m1"):
            daemon.cli("cache", name)  # while the one before is being compressed


def test_the_daemon_ends_well_while_it_loads_and_compresses(serve, models, fixtures):
    fixtures.make_diffusers(models / "pipeline", 64)
    write_weights(models / "model.safetensors", mib=64)
    daemon = serve("--strategy", "memory")
    daemon.cli("cache", "model")
    with daemon.session() as session:
        session.send("cache", {"model": "pipeline"})
        time.sleep(0.05)
        daemon.end()
    daemon.start()


def test_parts_stay_while_a_kept_model_loads(serve, models, fixtures):
    """A model that was never used counts as one whose time is over."""
    folder = fixtures.make_diffusers(models, 256)
    daemon = serve()
    name = daemon.cli("list")["models"][0]["name"]
    daemon.cli("cache", name, "--keep", "5s")
    assert state_of(daemon, name)["cache_state"] == "CACHED", folder


def test_adaptive_serves_what_fits_and_what_does_not(serve, models):
    """Whether it compresses depends on what loading costs here (StrategyGhosts)."""
    names = [f"m{i}.safetensors" for i in range(6)]
    for i, name in enumerate(names):
        write_weights(models / name, seed=i)
    daemon = serve("--strategy", "adaptive", ram_limit="40MiB")
    for _ in range(4):
        for name in names[:3]:
            daemon.cli("cache", name)
    assert all(compressed(state_of(daemon, name)) == 0 for name in names[:3])
    for _ in range(3):
        for name in names:
            attach_and_compare(daemon, models, name)


def test_a_plan_comes_true(serve, models):
    for i in range(4):
        write_weights(models / f"m{i}.safetensors", seed=i)
    daemon = serve(ram_limit="26MiB")
    for name in ("m0", "m1", "m2"):
        daemon.cli("cache", name)
    daemon.cli("cache", "m1", "--priority", "low")
    plan = daemon.cli("plan", "cache", "m3")
    step, = plan["steps"]
    assert (step["component"], step["what"]) == ("m1.safetensors", "component")
    assert int(step["bytes"]) >= 8 * MIB and step["bring_back_seconds"] > 0
    assert int(plan["needed_bytes"]) > int(plan["free_bytes"])
    assert state_of(daemon, "m1")["cache_state"] == "CACHED"  # only planned
    assert daemon.cli("cache", "m3")["evicted"] == ["m1.safetensors"]

    for name in ("m0", "m2", "m3"):
        daemon.cli("cache", name, "--pin")
    with pytest.raises(CommandFailed):
        daemon.cli("plan", "cache", "m1")
    shared = daemon.cli("plan", "load", "m0", "--pool", "shared")
    assert shared["device"] == "host:0" and not shared["steps"]


def test_usage_tells_what_ram_saved(serve, models):
    for i in range(3):
        write_weights(models / f"m{i}.safetensors", seed=i)
    daemon = serve(ram_limit="18MiB")
    for name in ("m0", "m0", "m1", "m2"):
        daemon.cli("cache", name)
    daemon.cli("cache", "m2", "--strategy", "memory")
    wait_for(daemon, "m2", only_compressed)
    daemon.cli("cache", "m2")
    usage = daemon.cli("ps", "--usage")
    counts = [int(usage[f"{kind}_accesses"]) for kind in ("raw", "decoded", "loaded")]
    assert counts == [2, 1, 3]
    assert usage["hit_rate"] == 0.5
    assert 0 < usage["time_saved"] < 1 and usage["access_p99_seconds"] > 0
    assert usage["evictions"][0]["component"] in ("m0.safetensors", "m1.safetensors")
    share = usage["compressed_dtypes"]["BF16"]
    assert int(share["raw_bytes"]) / int(share["compressed_bytes"]) > 1.4


def available():
    for line in open("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024


def test_models_leave_ram_when_the_machine_runs_short(serve, models):
    """Other processes use memory, too, so the limits only have to be roughly what they are."""
    if available() < 4 << 30:
        pytest.skip("needs 4 GiB of free memory")
    write_weights(models / "model.safetensors", mib=64)
    keep_free = available() - (1 << 30)
    daemon = serve("--keep-free", str(keep_free), ram_limit="512MiB")
    daemon.cli("cache", "model")
    assert daemon.memory()["configured_limit"] == 512 * MIB
    with mmap.mmap(-1, 1792 * MIB) as hog:
        for at in range(0, len(hog), 4096):
            hog[at] = 1
        wait_for(daemon, "model", lambda state: state["cache_state"] == "UNCACHED")
        assert daemon.memory()["limit"] < 64 * MIB
    deadline = time.monotonic() + 30
    while daemon.memory()["limit"] < 128 * MIB:
        assert time.monotonic() < deadline, daemon.memory()
        time.sleep(0.1)
    daemon.cli("cache", "model")


@pytest.fixture
def many(models):
    """Eight tensors of 8 MiB each."""
    generator = torch.Generator().manual_seed(1)
    tensors = {f"layer.{i}": (torch.randn(4096, 1024, generator=generator) * 0.02)
               .to(torch.bfloat16) for i in range(8)}
    save_file(tensors, models / "many.safetensors")
    return tensors


def python_attach(daemon, many, names):
    """Attaches tensors with the Python package and compares them; the daemon's memory then."""
    process = daemon.python("""
import sys, warmset
with warmset.connect() as session, session.attach("many", tensors=sys.argv[1:]) as model:
    assert sorted(model.keys()) == sorted(sys.argv[1:])
    for name in sys.argv[1:]:
        print(model[name].torch().double().sum().item(), flush=True)
    sys.stdin.readline()
""", *names)
    try:
        for name in names:
            assert float(process.stdout.readline()) == many[name].double().sum().item()
        return daemon.memory()
    finally:
        process.communicate("\n", timeout=60)
        assert process.returncode == 0


def test_of_a_compressed_entry_only_what_is_asked_for_is_decoded(serve, many):
    daemon = serve("--strategy", "memory")
    daemon.cli("cache", "many")
    wait_for(daemon, "many", only_compressed)
    before = daemon.memory()
    during = python_attach(daemon, many, ["layer.6", "layer.2"])
    assert 16 * MIB <= during["entries"] - before["entries"] < 17 * MIB
    assert during["compressed"] == before["compressed"]
    assert only_compressed(state_of(daemon, "many"))
    wait_for(daemon, "many", lambda state: not state.get("leases"))
    assert daemon.memory() == before
    usage = daemon.cli("ps", "--usage")
    assert int(usage["decoded_accesses"]) == 1 and int(usage["loaded_accesses"]) == 1


def test_of_a_raw_entry_nothing_is_copied(serve, many):
    daemon = serve()
    daemon.cli("cache", "many")
    before = daemon.memory()
    during = python_attach(daemon, many, ["layer.3"])
    assert during["entries"] == before["entries"]


def test_tensors_that_are_not_there_are_refused(serve, many, models):
    write_weights(models / "other.safetensors")
    daemon = serve("--strategy", "memory")
    for _ in range(2):  # loaded, then compressed
        with daemon.session() as session:
            with pytest.raises(Refused) as refused:
                session.attach("many", tensors=["layer.1", "none"])
            assert refused.value.code == "tensor_not_found"
            assert "'none'" in refused.value.message
        wait_for(daemon, "many", only_compressed)
    with daemon.session() as session:
        with pytest.raises(Refused) as refused:
            session.attach("many", tensors=["layer.1"], device="host:0")
        assert refused.value.code == "invalid_request"


def test_tensors_for_which_there_is_no_room_are_refused(serve, many):
    daemon = serve("--strategy", "memory", ram_limit="112MiB")
    daemon.cli("cache", "many")
    wait_for(daemon, "many", only_compressed)
    with daemon.session() as session:
        first = session.attach("many", tensors=["layer.0", "layer.1"])
        with pytest.raises(Refused) as refused:
            session.attach("many", tensors=[f"layer.{i}" for i in range(7)])
        assert refused.value.code == "ram_limit_exceeded"
        assert len(first[0].read()) == 16 * MIB


def test_what_nobody_asked_for_is_not_compressed_at_others_expense(serve, models):
    """After a restart with less RAM two of 16 MiB fit, one of them raw."""
    names = ["a.safetensors", "b.safetensors"]
    for seed, name in enumerate(names):
        write_weights(models / name, mib=16, seed=seed)
    daemon = serve("--strategy", "memory")
    for name in names:
        daemon.cli("cache", name)
        wait_for(daemon, name, only_compressed)
    daemon.end()
    daemon.flags += ["--ram-limit", "34MiB"]  # the last one counts
    daemon.start()
    for name in names:
        wait_for(daemon, name, lambda state: state["cache_state"] == "CACHED")
    time.sleep(0.5)
    assert all(state_of(daemon, name)["cache_state"] == "CACHED" for name in names)
    assert not daemon.cli("ps", "--usage").get("evictions")
    assert sorted(raw(state_of(daemon, name)) > 0 for name in names) == [False, True]


def test_a_device_takes_what_is_compressed_without_a_raw_entry(serve, models):
    for i in range(2):
        write_weights(models / f"m{i}.safetensors", seed=i)
    daemon = serve("--strategy", "memory", "--device", "host:0,memory=64MiB,pool=dedicated",
                   ram_limit="20MiB")
    daemon.cli("cache", "m0", "--pin")
    wait_for(daemon, "m0", only_compressed)
    daemon.cli("cache", "m1", "--strategy", "speed", "--pin")
    with daemon.session() as session:
        with pytest.raises(Refused) as refused:
            session.attach("m0")
        assert refused.value.code == "ram_limit_exceeded", "there is no room for it raw"
    assert daemon.cli("plan", "load", "m0")["refused"] is None, "the device needs none of it raw"
    daemon.cli("load", "m0")

    tensors = (models / "m0.safetensors").read_bytes()[-8 * MIB:]

    def compare():
        with daemon.session() as session:
            component, = session.attach("m0", device="host:0")
            assert tensors in component.read()

    compare()
    assert only_compressed(state_of(daemon, "m0"))
    worker = daemon.device()["worker_pid"]
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: daemon.device().get("worker_pid", worker) != worker
               and daemon.device()["worker_state"] == "ready", "another worker")
    wait_until(lambda: [placed["phase"] for placed in daemon.device().get("placements", [])]
               == ["ready"], "the placement to come back")
    compare()
    assert only_compressed(state_of(daemon, "m0"))
    daemon.check()

"""Loads that nobody waits for any more, models that can't fit, and what progress says."""

import signal
import subprocess

import pytest

from harness.daemon import BIN, MIB, CommandFailed, wait_until
from harness.loads import cache_until_midway, large_cold_file


def test_a_load_stops_when_its_client_leaves(serve, models, fixtures):
    large_cold_file(models, fixtures)
    daemon = serve()
    with daemon.session() as session:
        cache_until_midway(session, "tiny")
    wait_until(lambda: daemon.memory()["loading"] == 0, "the end of the load")
    assert daemon.memory()["entries"] == 0, "nothing of it is kept"
    assert daemon.state("tiny")["cache_state"] == "UNCACHED"
    assert "nobody waits for it" in daemon.log.read_text()
    assert daemon.cli("cache", "tiny")["state"]["cache_state"] == "cached"


def test_control_c_stops_a_load(serve, models, fixtures):
    large_cold_file(models, fixtures)
    daemon = serve()
    client = subprocess.Popen([BIN / "warmset", "cache", "tiny"], env=daemon.environment(),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: daemon.memory()["loading"] > 0 or client.poll() is not None, "a load")
    client.send_signal(signal.SIGINT)
    if client.wait(60) != 0:
        wait_until(lambda: daemon.memory()["loading"] == 0, "the end of the load")
        assert daemon.memory()["entries"] == 0


def test_a_load_goes_on_for_others(serve, models, fixtures):
    large_cold_file(models, fixtures)
    daemon = serve()
    with daemon.session() as stays:
        with daemon.session() as leaves:
            cache_until_midway(leaves, "tiny")
            number = stays.send("cache", {"model": "tiny"})
            daemon.status()  # both have arrived
        assert stays.responses(number)[-1][0]["cache"]["state"]["cache_state"] == "CACHED"


def _parts(fixtures, folder, mib):
    """A pipeline of three components of so many MiB each."""
    for part in ("unet", "vae", "text_encoder"):
        fixtures.save(folder / part / "model.safetensors", fixtures.layers(4, mib, prefix=part))
        fixtures.write_json(folder / part / "config.json", {"_class_name": part})
    fixtures.write_json(folder / "model_index.json", {
        "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"]})


def test_what_cannot_fit_leaves_the_others_alone(serve, models, fixtures):
    for name in "abcde":
        fixtures.save(models / f"{name}.safetensors", fixtures.layers(1, 10, prefix=name))
    _parts(fixtures, models / "pipeline", 22)
    daemon = serve(ram_limit="60MiB")
    for name in "abcde":
        daemon.cli("cache", name)
    refused = daemon.call("plan", model="pipeline")["refused"]
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("cache", "pipeline")
    assert failure.value.code == refused["code"] == "ram_limit_exceeded"
    assert [daemon.state(name)["cache_state"] for name in "abcde"] == ["CACHED"] * 5
    assert daemon.state("pipeline")["cache_state"] == "UNCACHED"


def test_progress_has_one_total_and_never_falls(serve, models, fixtures):
    _parts(fixtures, models / "pipeline", 48)
    daemon = serve("--load-threads", "1")
    seen = []
    with daemon.session() as session:
        session.responses(session.send("cache", {"model": "pipeline"}), seen.append)
    read = [one for one in seen if one["stage"] == "read"]
    assert len({int(one["total"]) for one in read}) <= 1
    assert all(int(one["total"]) >= 3 * 48 * MIB for one in read)
    done = [int(one.get("done", 0)) for one in read]
    assert done == sorted(done)

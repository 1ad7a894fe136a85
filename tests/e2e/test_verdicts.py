"""Models that can't be used: listed, explained, refused, forced, repaired; and what users say of them."""

import os

import pytest

from harness.daemon import MIB, CommandFailed, wait_until
from harness.session import Refused

LFS_POINTER = ("version https://git-lfs.github.com/spec/v1\n"
               "oid sha256:" + "0" * 64 + "\nsize 1048576\n")
USES = ("cache", "load", "path")


def listed(daemon):
    return {model["name"]: model for model in daemon.cli("list")["models"]}


def refusal(daemon, *arguments):
    with pytest.raises(CommandFailed) as failed:
        daemon.cli(*arguments)
    return failed.value


@pytest.fixture
def pipeline(models, fixtures):
    """A pipeline whose VAE is not there yet."""
    folder = fixtures.make_diffusers(models / "sd", 4)
    for weights in (folder / "vae").glob("*.safetensors"):
        weights.write_text(LFS_POINTER)
    return folder


def test_a_broken_file_is_listed_explained_and_refused(serve, models, fixtures):
    file = fixtures.make_file(models, 1)
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"shape":[', b'"shape":{'))
    daemon = serve()
    assert listed(daemon)["tiny.safetensors"]["verdict"] == "corrupt"
    detail = daemon.cli("show", "tiny")
    assert [finding["category"] for finding in detail["findings"]] == ["file_corruption"]
    assert detail["findings"][0]["severity"] == "error"
    for use in USES:
        assert refusal(daemon, use, "tiny").code == "corrupted_model", use
    with daemon.session() as session, pytest.raises(Refused) as refused:
        session.attach("tiny")
    assert refused.value.code == "corrupted_model"
    assert "corrupt, can't be used" in refused.value.message
    assert refused.value.message.count("tiny.safetensors") == 2, "the model, and what says more"
    forced = refusal(daemon, "cache", "tiny", "--force")
    assert forced.code == "corrupted_model" and "--force" in forced.stderr
    assert "corrupt" in daemon.run("list").stdout
    assert "  corrupt: " in daemon.run("show", "tiny").stdout


@pytest.mark.parametrize("scan", [True, False])
def test_a_repaired_file_is_good_again(serve, models, fixtures, scan):
    """After a scan, and without one: what is on the disk counts when it is used."""
    file = fixtures.make_file(models, 1)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    daemon = serve("--watch", "off")
    assert refusal(daemon, "cache", "tiny").code == "incomplete_model"
    file.write_bytes(whole)
    if scan:
        daemon.cli("scan")
        assert listed(daemon)["tiny.safetensors"]["verdict"] == "ok"
    with daemon.session() as session:
        component, = session.attach("tiny")
        assert component.read() == whole
    assert listed(daemon)["tiny.safetensors"]["verdict"] == "ok"
    file.write_bytes(whole[:-1])
    daemon.cli("scan")
    assert listed(daemon)["tiny.safetensors"]["verdict"] == "incomplete"
    assert daemon.memory()["entries"] == 0, "bytes that the disk has no more are not served"


def test_force_takes_what_is_there_and_says_what_is_not(serve, pipeline):
    daemon = serve()
    assert listed(daemon)["sd"]["verdict"] == "incomplete"
    for use in USES:
        failed = refusal(daemon, use, "sd")
        assert failed.code == "incomplete_model", use
        assert "vae/diffusion_pytorch_model.safetensors" in failed.stderr
        assert "git lfs pull" in failed.stderr and "--force" in failed.stderr
    with daemon.session() as session, pytest.raises(Refused) as refused:
        session.attach("sd")
    assert refused.value.code == "incomplete_model"

    reply = daemon.cli("cache", "sd", "--force")
    assert reply["state"]["cache_state"] == "cached"
    skipped = {(part["what"], part["name"]): part for part in reply["skipped"]}
    assert int(reply["skipped_total"]) == len(skipped)
    assert "Git LFS pointer" in skipped["file", "vae/diffusion_pytorch_model.safetensors"]["reason"]
    assert skipped["component", "vae"]["category"] == "file_corruption"
    lines = daemon.run("cache", "sd", "--force").stdout
    assert "skipped component vae (incomplete): " in lines

    with daemon.session() as session:
        assert len(session.attach("sd")) == 2, "what was forced can be attached"
    assert refusal(daemon, "path", "sd").code == "incomplete_model"
    reply = daemon.cli("load", "sd", "--force", "--component", "unet")
    assert reply["state"]["devices"] and reply["skipped"]


def test_what_was_forced_comes_back_after_a_restart(serve, pipeline):
    daemon = serve()
    daemon.cli("cache", "sd", "--force")
    daemon.kill()
    daemon.start()
    wait_until(lambda: daemon.state("sd")["cache_state"] == "CACHED", "the forced components")


def test_other_models_are_recommended(serve, models, fixtures):
    (models / "tiny-fp16.safetensors").write_text(LFS_POINTER)
    fixtures.save(models / "tiny-fp32.safetensors", fixtures.layers(2, 1))
    fixtures.save(models / "other.safetensors", fixtures.layers(2, 1))
    daemon = serve()
    with daemon.session() as session, pytest.raises(Refused) as refused:
        session.call("cache", model="tiny-fp16")
    assert refused.value.candidates == ["tiny-fp32.safetensors"]
    result = daemon.run("show", "tiny-fp16", "--compatibility")
    assert result.returncode == 1
    assert "git lfs pull" in result.stdout and "tiny-fp32.safetensors" in result.stdout


def test_compatibility_with_the_memory_of_a_device(serve, models, fixtures):
    fixtures.save(models / "large.safetensors", fixtures.layers(2, 8))
    daemon = serve("--device", "host:0,memory=4MiB,pool=dedicated",
                   "--device", "host:1,memory=64MiB,pool=dedicated")

    def asked(device):
        return daemon.call("validate_compatibility", model="large", device=device)

    assert asked("").get("compatible") and asked("host:1").get("compatible")
    reply = asked("host:0")
    assert not reply.get("compatible")
    assert [reason["category"] for reason in reply["reasons"]] == ["device_memory"]
    with pytest.raises(Refused) as refused:
        asked("host:7")
    assert refused.value.code in ("device_not_found", "invalid_request")


def test_compatibility_of_a_passed_file(serve, models, fixtures, tmp_path):
    good = fixtures.save(tmp_path / "good.safetensors", fixtures.layers(1, 1))
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(good.read_bytes()[:-1])
    daemon = serve()
    for file, compatible in ((good, True), (bad, False)):
        with open(file, "rb") as opened, daemon.session() as session:
            number = session.send("validate_compatibility", {"file": True, "file_path": str(file)},
                                  [opened.fileno()])
            (message, _), = session.responses(number)
            assert message["compatibility"].get("compatible", False) is compatible
    assert listed(daemon) == {}, "asking makes no model of it"


def test_a_passed_file_that_is_broken(serve, models, fixtures, tmp_path):
    file = fixtures.save(tmp_path / "passed.safetensors", fixtures.layers(1, 1))
    whole = file.read_bytes()
    daemon = serve()

    def attach():
        with open(file, "rb") as opened, daemon.session() as session:
            component, = session.attach(fds=[opened.fileno()], file=True, file_path=str(file))
            return component.read()

    assert attach() == whole
    file.write_bytes(whole[:-1])
    with pytest.raises(Refused) as refused:
        attach()
    assert refused.value.code == "incomplete_model"
    assert "passed.safetensors" in refused.value.message
    assert listed(daemon) == {} and daemon.memory()["entries"] == 0
    file.write_bytes(whole)
    assert attach() == whole


def test_what_the_user_says_a_model_is(serve, models, fixtures):
    file = fixtures.make_file(models, 1)
    daemon = serve("--watch", "off")
    before = daemon.state("tiny")
    reply = daemon.cli("override", "tiny", "--kind", "lora")
    daemon.cli("override", "tiny", "--architecture", "sdxl")
    assert reply["state"]["kind"] == "lora"

    def said():
        state = daemon.state("tiny")
        return state["kind"], state["architecture"], state["override"]

    expected = ("lora", "sdxl", {"kind": "lora", "architecture": "sdxl"})
    assert said() == expected
    daemon.cli("scan")
    assert said() == expected
    fixtures.save(file, fixtures.layers(1, 2))  # another revision
    daemon.cli("scan")
    assert said() == expected
    daemon.kill()
    daemon.start()
    assert said() == expected
    assert "lora (set by you)" in daemon.run("list").stdout
    assert daemon.cli("list", "--kind", "lora")["models"]
    assert "its files say " + before["kind"] in daemon.run("show", "tiny").stdout
    os.rename(file, models / "away")
    daemon.cli("scan")
    os.rename(models / "away", file)
    daemon.cli("scan")
    assert said() == expected, "a drive may be away for a while"
    daemon.cli("override", "tiny", "--clear")
    state = daemon.state("tiny")
    assert "override" not in state and state["kind"] == before["kind"]
    assert refusal(daemon, "override", "tiny", "--kind", "No Kind").code == "usage"
    unknown = refusal(daemon, "override", "tiny", "--architecture", "sdxk")
    assert unknown.code == "invalid_request"
    assert "'sdxl'" in unknown.stderr and "--force" in unknown.stderr
    daemon.cli("override", "tiny", "--architecture", "sdxk", "--force")
    daemon.cli("override", "tiny", "--kind", "LoRA")  # what was forced stays
    assert (daemon.state("tiny")["kind"], daemon.state("tiny")["architecture"]) == ("lora", "sdxk")

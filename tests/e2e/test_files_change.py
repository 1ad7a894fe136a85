"""Files that change, shrink and go while Warmset reads or serves them."""

import os
import shutil

import pytest

from harness.daemon import MIB, CommandFailed
from harness.loads import cache_until_midway, large_cold_file
from harness.session import Refused


@pytest.fixture
def bystander(models, fixtures):
    """Another model, which must not be disturbed."""
    return fixtures.save(models / "bystander.safetensors", fixtures.layers(1, 2, "bystander"))


def attach_and_read(daemon, model):
    """The bytes of a model's only component, as a client gets them."""
    with daemon.session() as session:
        component, = session.attach(model)
        return component.read()


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_truncated_in_mid_load(serve, models, fixtures, bystander, keep):
    file = large_cold_file(models, fixtures)
    daemon = serve("--watch", "off")
    daemon.cli("cache", "bystander")
    before = daemon.memory()
    with daemon.session() as session:
        number = cache_until_midway(session, "tiny")
        with daemon.stopped():
            os.truncate(file, int(file.stat().st_size * keep))
        with pytest.raises(Refused) as refused:
            session.responses(number)
    assert refused.value.code in ("file_changed", "incomplete_model")
    assert file.name in refused.value.message
    assert daemon.memory() == before, "nothing of it stays"
    assert attach_and_read(daemon, "bystander") == bystander.read_bytes()


def test_overwritten_in_mid_load(serve, models, fixtures, bystander):
    """What is served afterwards is what the file holds now, from end to end."""
    file = large_cold_file(models, fixtures)
    daemon = serve("--watch", "off")
    with daemon.session() as session:
        number = cache_until_midway(session, "tiny")
        with daemon.stopped(), open(file, "r+b") as opened:
            for at in (100_000, file.stat().st_size - 8):
                opened.seek(at)
                opened.write(b"\xff" * 8)
        try:
            session.responses(number)
        except Refused as refused:
            assert refused.code in ("file_changed", "incomplete_model", "corrupted_model")
    assert attach_and_read(daemon, "tiny") == file.read_bytes()


def test_replaced_by_zeros_after_caching(serve, models, fixtures, bystander):
    file = fixtures.make_file(models, 4)
    daemon = serve("--watch", "off")
    original = attach_and_read(daemon, "tiny")
    file.write_bytes(bytes(file.stat().st_size))
    with daemon.session() as holder:
        for command in ("cache", "load"):
            with pytest.raises(CommandFailed) as failure:
                daemon.cli(command, "tiny")
            assert failure.value.code in ("corrupted_model", "model_not_found")
        with pytest.raises(Refused):
            holder.attach("tiny")
    assert original != bytes(len(original))
    assert attach_and_read(daemon, "bystander") == bystander.read_bytes()


@pytest.mark.parametrize("leased", [False, True])
def test_zeros_with_the_old_mtime(serve, models, fixtures, bystander, leased):
    """The header is right and only ctime tells: the bytes are compared."""
    file = fixtures.save(models / "tiny.safetensors", fixtures.layers(1, 4))
    daemon = serve("--watch", "off")
    original = attach_and_read(daemon, "tiny")
    with daemon.session() as holder:
        held = holder.attach("tiny") if leased else []
        if not leased:
            daemon.cli("cache", "tiny")
        before = file.stat()
        with open(file, "r+b") as opened:
            opened.seek(MIB)
            opened.write(bytes(2 * MIB))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        with pytest.raises(CommandFailed) as failure:
            daemon.cli("cache", "tiny")
        assert failure.value.code == "corrupted_model"
        with pytest.raises(Refused) as refused, daemon.session() as other:
            other.attach("tiny")
        assert refused.value.code == "corrupted_model"
        for component in held:
            assert component.read() == original, "what is leased stays"
    assert attach_and_read(daemon, "bystander") == bystander.read_bytes()


def test_touched_only_stays_served(serve, models, fixtures):
    """chmod and a hard link change ctime; the bytes are the same."""
    file = fixtures.save(models / "tiny.safetensors", fixtures.layers(1, 4))
    daemon = serve("--watch", "off")
    original = attach_and_read(daemon, "tiny")
    file.chmod(0o640)
    os.link(file, models.parent / "another-name")
    assert attach_and_read(daemon, "tiny") == original
    assert daemon.state("tiny").get("error_code", "") == ""


def test_a_new_file_in_its_place_is_a_new_revision(serve, models, fixtures):
    fixtures.save(models / "tiny.safetensors", fixtures.layers(1, 4, "old"))
    daemon = serve("--watch", "off")
    model = daemon.state("tiny")["id"]
    attach_and_read(daemon, "tiny")
    fixtures.save(models / "incoming", fixtures.layers(1, 6, "new"))
    os.replace(models / "incoming", models / "tiny.safetensors")
    assert attach_and_read(daemon, "tiny") == (models / "tiny.safetensors").read_bytes()
    assert daemon.state("tiny")["id"] == model, "the same model"
    assert daemon.memory()["entries"] < 9 * MIB, "the old revision has gone"


def test_the_folder_of_a_model_is_removed(serve, models, fixtures, bystander):
    fixtures.make_diffusers(models / "sd", 4)
    daemon = serve("--watch", "off")
    with daemon.session() as holder:
        held = holder.attach("sd")
        before = [component.read() for component in held]
        shutil.rmtree(models / "sd")
        with pytest.raises(CommandFailed) as failure:
            daemon.cli("cache", "sd")
        assert failure.value.code in ("file_not_found", "model_not_found")
        assert [component.read() for component in held] == before
    daemon.cli("scan")
    assert [model["name"] for model in daemon.cli("list")["models"]] == ["bystander.safetensors"]
    assert attach_and_read(daemon, "bystander") == bystander.read_bytes()
    assert daemon.memory()["uncached_but_mapped"] == 0


def test_the_root_itself_goes_and_comes_back(serve, models, fixtures):
    fixtures.save(models / "tiny.safetensors", fixtures.layers(1, 2))
    daemon = serve()
    models.rename(models.with_name("away"))
    with pytest.raises(CommandFailed):
        daemon.cli("cache", "tiny")
    models.with_name("away").rename(models)
    daemon.cli("scan")
    assert daemon.cli("cache", "tiny")["state"]["cache_state"] == "cached"


def test_a_file_without_permission(serve, models, fixtures):
    """Root reads everything; whoever is not gets an error that says why."""
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    file = fixtures.save(models / "tiny.safetensors", fixtures.layers(1, 2))
    daemon = serve("--watch", "off")
    file.chmod(0)
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("cache", "tiny")
    assert failure.value.code == "permission_denied"

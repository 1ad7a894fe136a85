"""What is found on disks: layouts, names, changes, and names that should not be."""

import os
import re
import shutil

import pytest

from harness.daemon import CommandFailed, wait_until
from harness.session import Refused


def names(daemon):
    return sorted(model["name"] for model in daemon.call("list_models").get("models", ()))


def components(daemon, model):
    return {component["name"]: component
            for component in daemon.call("get_model_detail", name=model)["components"]}


def test_every_layout(serve, models, fixtures):
    fixtures.make_file(models, 1)
    fixtures.make_sharded(models / "sharded", 3)
    fixtures.make_transformers(models / "llama", 3)
    fixtures.make_diffusers(models / "sd", 4)
    fixtures.make_checkpoint(models, 3)
    fixtures.make_hub(models / "hub", 1)
    daemon = serve()
    listed = {model["name"]: model for model in daemon.cli("list")["models"]}
    older = listed.keys() - {"tiny.safetensors", "sharded", "llama", "sd",
                             "checkpoint.safetensors", "acme/tiny-model"}
    assert len(listed) == 7 and re.fullmatch("acme/tiny-model@[0-9a-f]{8}", older.pop())
    assert listed["sharded"]["layout"] == "sharded"
    assert listed["llama"]["layout"] == "transformers"
    assert listed["sd"]["layout"] == "diffusers"
    parts = {"unet", "vae", "text_encoder"}
    assert components(daemon, "sd").keys() == parts | {f"{part}.fp16" for part in parts}
    assert len(components(daemon, "checkpoint")) == 3
    for model in listed:
        reply = daemon.cli("cache", model)
        assert reply["state"]["cache_state"] == "cached", model


def test_a_component_alone_is_cached(serve, models, fixtures):
    fixtures.make_diffusers(models / "sd", 8)
    daemon = serve()
    daemon.cli("cache", "sd", "--component", "vae")
    parts = components(daemon, "sd")
    assert parts["vae"]["cache_state"] == "CACHED"
    assert parts["unet"]["cache_state"] == "UNCACHED"
    assert daemon.state("sd")["cache_state"] == "PARTLY_CACHED"


def test_equal_content_is_held_once(serve, models, fixtures):
    fixtures.make_diffusers(models / "one", 8)
    shutil.copytree(models / "one", models / "two")
    daemon = serve()
    daemon.cli("cache", "one")
    before = daemon.memory()["entries"]
    daemon.cli("cache", "two")
    assert daemon.memory()["entries"] == before
    daemon.cli("uncache", "one")
    assert daemon.state("two")["cache_state"] == "CACHED"


def test_equal_blobs_of_the_hub_are_seen_at_the_scan(serve, models, fixtures):
    fixtures.make_hub(models, 4)
    daemon = serve()
    main, older = names(daemon)
    shared, = components(daemon, main).values()
    assert shared["shared_with"] == [older]
    daemon.cli("cache", main)
    assert int(daemon.cli("cache", older)["loaded_bytes"]) == 0


def test_new_and_removed_files_are_noticed(serve, models, fixtures, tmp_path):
    daemon = serve()
    assert names(daemon) == []
    fixtures.save(models / "later.safetensors", {"a": ("F32", [4])})
    wait_until(lambda: names(daemon) == ["later.safetensors"], "a new file")
    # A folder that is moved in whole, and one that is made and filled.
    fixtures.make_diffusers(tmp_path / "sd", 1)
    shutil.move(tmp_path / "sd", models / "sd")
    wait_until(lambda: "sd" in names(daemon), "a folder moved in")
    fixtures.make_transformers(models / "deep" / "llama", 1)
    wait_until(lambda: "deep/llama" in names(daemon), "a folder filled")
    (models / "later.safetensors").unlink()
    shutil.rmtree(models / "sd")
    wait_until(lambda: names(daemon) == ["deep/llama"], "what was removed")


def test_a_shallow_scan_stays_in_the_folder(serve, models, fixtures, tmp_path):
    fixtures.save(tmp_path / "other" / "top.safetensors", {"a": ("F32", [4])})
    fixtures.save(tmp_path / "other" / "below" / "deep.safetensors", {"b": ("F32", [4])})
    daemon = serve()
    daemon.cli("scan", tmp_path / "other", "--shallow")
    assert names(daemon) == ["top.safetensors"]


def test_a_rescan_reads_only_what_changed(serve, models, fixtures):
    for number in range(20):
        fixtures.save(models / f"{number}.safetensors", {"a": ("F32", [4 + number])})
    daemon = serve("--watch", "off")
    assert int(daemon.cli("scan")["headers_read"]) == 0
    fixtures.save(models / "3.safetensors", {"a": ("F32", [99])})
    reply = daemon.cli("scan")
    assert (int(reply["changed"]), int(reply["headers_read"])) == (1, 1)
    daemon.cli("shutdown")
    daemon.process.wait(10)
    daemon.start()
    assert int(daemon.cli("scan")["headers_read"]) == 0, "the catalog knows them"


def test_broken_files_are_findings_and_harm_nobody(serve, models, fixtures):
    good = fixtures.save(models / "good.safetensors", {"a": ("F32", [4])})
    (models / "empty.safetensors").write_bytes(b"")
    (models / "noise.safetensors").write_bytes(os.urandom(4096))
    (models / "short.safetensors").write_bytes(good.read_bytes()[:-1])
    (models / "folder.safetensors").mkdir()
    os.mkfifo(models / "pipe.safetensors")
    os.symlink("loop.safetensors", models / "loop.safetensors")
    daemon = serve()
    # What can't be used is listed, too, with its verdict.
    assert names(daemon) == [f"{name}.safetensors"
                             for name in ("empty", "good", "loop", "noise", "short")]
    findings = {os.path.basename(finding["path"]): finding["code"]
                for finding in daemon.cli("scan")["findings"]}
    assert findings["noise.safetensors"] == "corrupted_model"
    for half in ("empty", "short", "loop"):
        assert findings[f"{half}.safetensors"] == "incomplete_model"


def test_odd_names_on_disk(serve, models, fixtures):
    odd = ["-rf.safetensors", "sp ace.safetensors", "ünï.safetensors", "x" * 243 + ".safetensors",
           "%s%n.safetensors", '"quoted".safetensors']
    for name in odd:
        fixtures.save(models / name, {"a": ("F32", [4])})
    unprintable = [b"a\nb.safetensors", b"bytes-\xff.safetensors", b"\x1b[31mred.safetensors"]
    for name in unprintable:
        with open(os.fsencode(models) + b"/" + name, "wb") as file:
            file.write((models / odd[0]).read_bytes())
    daemon = serve()
    listed = daemon.cli("list")["models"]
    assert len(listed) == len(odd)
    # The longest is cut short, and stays unique.
    assert {model["name"] for model in listed} >= {name for name in odd if len(name) < 200}
    for model in listed:
        assert daemon.cli("cache", model["id"])["state"]["cache_state"] == "cached"
    assert daemon.run("list").stdout.count("\n") == len(listed) + 1, "one line for each"
    findings = daemon.cli("scan")["findings"]
    assert [finding["code"] for finding in findings] == ["invalid_name"] * len(unprintable)
    assert all(finding["path"].isprintable() for finding in findings)


@pytest.mark.parametrize("name", ["../secret", "../../etc/passwd", "a\nb", "x" * 300, "/etc/passwd",
                                  "a\0b", "", ".", "*"])
def test_names_that_no_model_has(serve, models, fixtures, name):
    fixtures.save(models.parent / "secret.safetensors", {"a": ("F32", [4])})
    fixtures.save(models / "good.safetensors", {"a": ("F32", [4])})
    daemon = serve()
    with daemon.session() as session:
        for call in ("cache", "load", "get_path", "uncache", "unload"):
            with pytest.raises(Refused) as refused:
                session.call(call, model=name)
            assert refused.value.code in ("invalid_name", "model_not_found", "ambiguous_name"), call
    assert daemon.cli("cache", "good")["state"]["cache_state"] == "cached"
    assert names(daemon) == ["good.safetensors"]


def test_an_unknown_name_comes_with_candidates(serve, models, fixtures):
    fixtures.save(models / "my-sdxl-base.safetensors", {"a": ("F32", [4])})
    daemon = serve()
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("cache", "sdxl-base")
    assert failure.value.code == "model_not_found" and "my-sdxl-base" in failure.value.stderr

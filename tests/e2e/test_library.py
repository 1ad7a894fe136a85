"""The library as people's disks are: drives that come back, stores of other programs, scans
that are not done yet."""

import hashlib
import json
import os
import shutil
import subprocess

import pytest

from harness.daemon import BIN, CommandFailed, Daemon, wait_until


def names(daemon):
    return sorted(model["name"] for model in daemon.call("list_models").get("models", ()))


def is_cached(daemon, model):
    return daemon.state(model).get("cache_state") == "CACHED"


def test_a_root_that_is_made_again_is_watched_and_its_pinned_model_returns(
        serve, models, fixtures, tmp_path):
    fixtures.save(models / "a.safetensors", {"a": ("F32", [4])})
    fixtures.save(models / "b.safetensors", {"b": ("F32", [5])})
    daemon = serve()
    daemon.cli("cache", "a.safetensors", "--pin")
    daemon.cli("cache", "b.safetensors")
    daemon.cli("override", "a.safetensors", "--kind", "lora")
    models.rename(tmp_path / "away")
    wait_until(lambda: names(daemon) == [], "a root that is gone")
    # As when a drive is plugged in again: nothing tells inotify of it.
    (tmp_path / "away").rename(models)
    wait_until(lambda: names(daemon) == ["a.safetensors", "b.safetensors"], "a root that is back")
    wait_until(lambda: is_cached(daemon, "a.safetensors"), "a pinned model in RAM")
    assert not is_cached(daemon, "b.safetensors")
    assert daemon.state("a.safetensors")["kind"] == "lora"
    fixtures.save(models / "new.safetensors", {"a": ("F32", [6])})
    wait_until(lambda: "new.safetensors" in names(daemon), "a new file in a root that is back")


def test_a_configured_drive_that_is_away_at_the_start_is_waited_for(serve, fixtures, tmp_path):
    drive = tmp_path / "drive"
    config = tmp_path / "warmset.toml"
    config.write_text(f"[models]\nroots = ['{drive}']\n")
    daemon = serve("--config", str(config), root=None)
    notice = f"the root {drive} is not there"
    assert notice in daemon.log.read_text()
    assert any(notice in one for one in daemon.status()["notices"])
    for command in ("list", "ps", "doctor"):
        assert notice in daemon.run(command).stdout
    fixtures.save(drive / "a.safetensors", {"a": ("F32", [4])})
    wait_until(lambda: names(daemon) == ["a.safetensors"], "the drive's model")
    wait_until(lambda: "notices" not in daemon.status(), "the end of the notice")
    fixtures.save(drive / "b.safetensors", {"b": ("F32", [5])})
    wait_until(lambda: len(names(daemon)) == 2, "a new file on the drive")


def test_a_pinned_model_returns_after_a_restart_without_its_drive(
        serve, models, fixtures, tmp_path):
    fixtures.save(models / "drive" / "a.safetensors", {"a": ("F32", [4])})
    daemon = serve()
    daemon.cli("cache", "a.safetensors", "--pin")
    (models / "drive").rename(tmp_path / "away")
    wait_until(lambda: names(daemon) == [], "a folder that is gone")
    daemon.cli("shutdown")
    daemon.process.wait(10)
    daemon.start()
    assert names(daemon) == []
    (tmp_path / "away").rename(models / "drive")
    wait_until(lambda: names(daemon) == ["a.safetensors"], "a folder that is back")
    wait_until(lambda: is_cached(daemon, "a.safetensors"), "a pinned model in RAM")


def test_a_drive_that_is_mounted_again_is_watched(serve, models, fixtures):
    def mount():
        if subprocess.run(["mount", "-t", "tmpfs", "none", models], check=False).returncode != 0:
            pytest.skip("mounting is not allowed here")

    mount()
    try:
        fixtures.save(models / "a.safetensors", {"a": ("F32", [4])})
        daemon = serve()
        daemon.cli("cache", "a.safetensors", "--pin")
        subprocess.run(["umount", models], check=True)
        wait_until(lambda: names(daemon) == [], "a drive that is gone")
        mount()
        fixtures.save(models / "a.safetensors", {"a": ("F32", [4])})
        wait_until(lambda: names(daemon) == ["a.safetensors"], "a drive that is back")
        wait_until(lambda: is_cached(daemon, "a.safetensors"), "a pinned model in RAM")
        fixtures.save(models / "new.safetensors", {"a": ("F32", [6])})
        wait_until(lambda: "new.safetensors" in names(daemon), "a new file on it")
        daemon.cli("shutdown")
        daemon.process.wait(10)
    finally:
        subprocess.run(["umount", models], check=False)


def test_who_comes_before_the_first_scan_has_ended_waits_for_it(models, fixtures):
    for number in range(600):
        fixtures.save(models / f"{number % 20}" / f"{number}.safetensors", {"a": ("F32", [4])})
    fixtures.save(models / "zz" / "wanted.safetensors", {"a": ("F32", [64])})
    daemon = Daemon(models, ["--ram-limit", "1GiB", "--reserve", "0"])
    try:
        with open(daemon.log, "ab") as log:
            daemon.process = subprocess.Popen(
                [BIN / "warmset", "serve", "--root", models, *daemon.flags],
                env=daemon.environment(), stdout=log, stderr=log)
        wait_until(daemon._answers, "a daemon that answers")
        # Each finds it, whatever the scan has seen by then; a name that is not whole, too.
        assert daemon.cli("cache", "wanted")["state"]["name"] == "wanted.safetensors"
        assert daemon.cli("show", "wanted.safetensors")["state"]["cache_state"].upper() == "CACHED"
        listed = daemon.cli("list")
        assert len(listed["models"]) == 601 or listed.get("scan")
        wait_until(daemon._settled, "the end of the first scan")
        assert not daemon.cli("list").get("scan") and not daemon.cli("ps").get("scan")
        with pytest.raises(CommandFailed) as refused:
            daemon.cli("cache", "nothing-like-it")
        assert refused.value.code == "model_not_found"
    finally:
        daemon.end()
        daemon.clean_up()


def test_a_shallow_scan_leaves_deeper_models_known(serve, models, fixtures):
    fixtures.save(models / "top.safetensors", {"a": ("F32", [4])})
    fixtures.save(models / "below" / "deep.safetensors", {"b": ("F32", [4])})
    daemon = serve("--watch", "off")
    daemon.cli("cache", "deep")
    (models / "top.safetensors").unlink()
    daemon.cli("scan", models, "--shallow")
    assert names(daemon) == ["deep.safetensors"]
    assert is_cached(daemon, "deep")


def test_a_mistyped_name_comes_with_similar_ones(serve, models, fixtures):
    for name in ("sd_xl_base_1.0", "sd_xl_base_1.0_0.9vae", "flux"):
        fixtures.save(models / f"{name}.safetensors", {name[:9]: ("F32", [4])})
    daemon = serve()
    assert daemon.cli("cache", "sd_xl_base_1.0")["state"]["name"] == "sd_xl_base_1.0.safetensors"
    for typed, similar in (("sd_xl_bsae", "sd_xl_base_1.0.safetensors"),
                           ("flxu", "flux.safetensors")):
        with pytest.raises(CommandFailed) as refused:
            daemon.cli("show", typed)
        assert refused.value.code == "model_not_found"
        assert similar in daemon.run("show", typed).stderr


def share_blob(cache, blob):
    """Moves a repo's blob to where today's hub client keeps what repos share."""
    store = cache / "blobs"
    xet = hashlib.sha256(b"xet" + blob.name.encode()).hexdigest()
    (store / xet[:2]).mkdir(parents=True, exist_ok=True)
    (store / ".huggingface-shared-blobs").write_text("1\n")
    payload = store / xet[:2] / xet
    blob.rename(payload)
    payload.with_name(xet + ".refs").write_text(f"{blob.relative_to(cache)}\n")
    payload.with_name(xet + ".lock").touch()
    os.symlink(f"../../blobs/{xet[:2]}/{xet}", blob)


def test_a_hub_cache_with_shared_blobs_is_used(serve, models, fixtures):
    base = fixtures.make_hub(models, 1, revisions=1)
    old = fixtures.make_hub(models, 1, repo="acme/older", revisions=1)
    commit = (base / "refs" / "main").read_text()
    blob = next(blob for blob in (base / "blobs").iterdir() if len(blob.name) == 64)
    share_blob(models, blob)
    weights = base / "snapshots" / commit / "model.safetensors"
    (base / "trees").mkdir()
    (base / "trees" / f"{commit}.json").write_text(json.dumps({
        "format_version": 1,
        "files": {"model.safetensors": {"size": weights.stat().st_size, "blob_id": "0" * 40,
                                        "lfs_sha256": blob.name,
                                        "lfs_size": weights.stat().st_size},
                  "pytorch_model.bin": {"size": 7, "blob_id": "1" * 40}}}))
    daemon = serve()
    assert daemon.cli("scan").get("findings", []) == []
    assert names(daemon) == ["acme/older", "acme/tiny-model"]
    for model in names(daemon):
        assert daemon.cli("cache", model)["state"]["cache_state"].upper() == "CACHED"
    detail = daemon.cli("show", "acme/tiny-model")
    assert detail["state"]["revision"] == commit
    hashes = {file["path"]: file.get("claimed_hash") for file in detail["files"]}
    assert hashes["model.safetensors"] == "sha256:" + blob.name
    inspected = daemon.run("inspect", base)
    assert inspected.returncode == 0, inspected.stdout + inspected.stderr
    inspected = daemon.run("inspect", weights)
    assert inspected.returncode == 0, inspected.stdout + inspected.stderr
    assert old.is_dir()


def test_an_old_ollama_store_is_used(serve, models, fixtures):
    store = models / "store"
    (store / "blobs").mkdir(parents=True)

    def add(model, separator):
        weights = fixtures.save(store / "blobs" / "incoming", {model: ("F32", [64])})
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        weights.rename(store / "blobs" / f"sha256{separator}{digest}")
        manifest = store / "manifests" / "registry.ollama.ai" / "library" / model / "8b"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [{
            "mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + digest,
            "size": (store / "blobs" / f"sha256{separator}{digest}").stat().st_size}]}))

    add("new", "-")
    add("old", ":")
    daemon = serve()
    for model in ("new:8b", "old:8b"):
        assert daemon.cli("cache", model)["state"]["cache_state"].upper() == "CACHED"
        assert daemon.state(model)["version"] == "8b"


def test_a_models_version_and_revision_are_shown(serve, models, fixtures):
    fixtures.save(models / "a.safetensors", {"a": ("F32", [4])}, {"modelspec.version": "1.1"})
    daemon = serve("--watch", "off")
    state = daemon.cli("show", "a")["state"]
    assert state["version"] == "1.1"
    shown = daemon.run("show", "a").stdout
    assert "1.1" in shown and state["revision"] in shown
    shutil.copy(models / "a.safetensors", models / "copy")
    (models / "copy").rename(models / "a.safetensors")
    daemon.cli("scan")
    assert daemon.state("a")["revision"] != state["revision"]


def test_many_files_cost_little_memory_and_few_helpers(serve, models):
    files = 100_000
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    content = len(header).to_bytes(8, "little") + header
    for number in range(files):
        folder = models / f"publisher-{number % 50}"
        if number < 50:
            folder.mkdir()
        (folder / f"adapter-{number:06}.safetensors").write_bytes(
            content + number.to_bytes(4, "little"))
    daemon = serve("--watch", "off", root=models / "publisher-0")
    before = int(daemon.status()["resident_anonymous_bytes"])
    daemon.cli("scan", models)
    status = daemon.status()
    known = int(status["models"])
    assert known == files
    grown = int(status["resident_anonymous_bytes"]) - before
    assert grown / (files - files / 50) < 1536, grown
    assert daemon.cli("scan", models)["headers_read"] in ("0", 0)

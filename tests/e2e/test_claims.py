"""A name is a claim: blobs of hub caches and of Ollama's store that are not what they are
called. Never wrong bytes, never an intact file refused."""

import hashlib
import json
import os
import shutil

import pytest

from harness.daemon import CommandFailed, wait_until
from harness.session import Refused

COMMIT = "b" * 40


def weights(fixtures, folder):
    """An intact file's bytes, and the same with one bit flipped."""
    file = fixtures.save(folder / "weights.safetensors", fixtures.layers(1, 2))
    good = file.read_bytes()
    file.unlink()
    bad = bytearray(good)
    bad[len(bad) // 2] ^= 1
    return good, bytes(bad)


def names(daemon):
    return [model["name"] for model in daemon.call("list_models").get("models", ())]


def hub_repo(root, name, content, digest):
    repo = root / f"models--org--{name}"
    for part in ("blobs", "refs", f"snapshots/{COMMIT}"):
        (repo / part).mkdir(parents=True)
    (repo / "blobs" / digest).write_bytes(content)
    (repo / "refs" / "main").write_text(COMMIT)
    os.symlink(f"../../blobs/{digest}", repo / "snapshots" / COMMIT / "model.safetensors")
    return repo


def ollama_store(root, content, digest):
    (root / "blobs").mkdir(parents=True)
    (root / "blobs" / f"sha256-{digest}").write_bytes(content)
    manifest = root / "manifests" / "registry.ollama.ai" / "library" / "tiny" / "latest"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({
        "schemaVersion": 2,
        "layers": [{"mediaType": "application/vnd.ollama.image.model",
                    "digest": f"sha256:{digest}", "size": len(content)}]}))


def content_of(daemon, model):
    """What a client gets: by attach, and by path."""
    with daemon.session() as session:
        attached = session.attach(model)[0].read()
    path = daemon.cli("path", model)["path"]
    with open(path, "rb") as file:
        assert file.read() == attached
    return attached


def wait_for_claim(daemon, model, state):
    wait_until(lambda: daemon.state(model).get("claim") == state, f"{model} is {state}")


def refused(daemon, model):
    with pytest.raises(CommandFailed) as failure:
        daemon.cli("cache", model)
    assert failure.value.code == "corrupted_model"
    with daemon.session() as session, pytest.raises(Refused) as attach:
        session.attach(model)
    assert attach.value.code == "corrupted_model"
    return attach.value.message


@pytest.mark.parametrize("order", [("bad", "good"), ("good", "bad")])
def test_two_blobs_of_one_name(serve, models, fixtures, order):
    good, bad = weights(fixtures, models)
    digest = hashlib.sha256(good).hexdigest()
    hub_repo(models, "good", good, digest)
    bad_repo = hub_repo(models, "bad", bad, digest)
    daemon = serve("--watch", "off")
    for name in order:
        daemon.cli("cache", f"org/{name}")
    assert content_of(daemon, "org/good") == good
    wait_for_claim(daemon, "org/good", "verified")
    wait_for_claim(daemon, "org/bad", "mismatch")
    message = refused(daemon, "org/bad")
    assert digest in message and hashlib.sha256(bad).hexdigest() in message
    assert "download org/bad again" in message
    wait_until(lambda: daemon.state("org/bad")["verdict"] == "corrupt", "the verdict")
    findings = json.dumps(daemon.cli("show", "org/bad"))
    assert digest in findings and hashlib.sha256(bad).hexdigest() in findings
    assert content_of(daemon, "org/good") == good

    # A restart has forgotten nothing, and the intact one needs no second check.
    daemon.end()
    daemon.start()
    daemon.cli("scan")
    assert daemon.state("org/bad")["claim"] == "mismatch"
    assert daemon.state("org/bad")["verdict"] == "corrupt"
    assert daemon.state("org/good")["claim"] == "verified"
    refused(daemon, "org/bad")
    assert content_of(daemon, "org/good") == good

    # Without the bad one the intact one is as good as before.
    shutil.rmtree(bad_repo)
    daemon.cli("scan")
    daemon.cli("uncache", "org/good")
    assert content_of(daemon, "org/good") == good

    # What was downloaded again is served, and checked anew.
    hub_repo(models, "bad", good, digest)
    daemon.cli("scan")
    assert content_of(daemon, "org/bad") == good
    wait_for_claim(daemon, "org/bad", "verified")


def test_a_wrong_blob_of_ollama(serve, models, fixtures):
    good, bad = weights(fixtures, models)
    digest = hashlib.sha256(good).hexdigest()
    ollama_store(models / "one", bad, digest)
    hub_repo(models, "good", good, digest)
    daemon = serve("--watch", "off")
    ollama, = (name for name in names(daemon) if "tiny" in name)
    daemon.cli("cache", ollama)
    daemon.cli("cache", "org/good")
    wait_for_claim(daemon, ollama, "mismatch")
    assert "ollama pull" in refused(daemon, ollama)
    assert content_of(daemon, "org/good") == good
    wait_for_claim(daemon, "org/good", "verified")


def test_a_small_file_named_by_git(serve, models, fixtures):
    good, bad = weights(fixtures, models)
    digest = hashlib.sha1(b"blob %d\0" % len(good) + good).hexdigest()
    hub_repo(models, "good", good, digest)
    hub_repo(models, "bad", bad, digest)
    daemon = serve("--watch", "off")
    for name in ("org/bad", "org/good"):
        daemon.cli("cache", name)
    wait_for_claim(daemon, "org/good", "verified")
    wait_for_claim(daemon, "org/bad", "mismatch")
    assert content_of(daemon, "org/good") == good


def test_a_repaired_blob_with_the_old_mtime_is_taken(serve, models, fixtures):
    """Size, mtime and inode are as before: another check finds that it is intact."""
    good, bad = weights(fixtures, models)
    digest = hashlib.sha256(good).hexdigest()
    blob = hub_repo(models, "bad", bad, digest) / "blobs" / digest
    daemon = serve("--watch", "off")
    daemon.cli("cache", "org/bad")
    wait_for_claim(daemon, "org/bad", "mismatch")
    before = blob.stat()
    with open(blob, "r+b") as file:
        file.write(good)
    os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))
    daemon.cli("scan")
    wait_for_claim(daemon, "org/bad", "verified")
    wait_until(lambda: daemon.state("org/bad")["verdict"] == "ok", "the verdict")
    assert content_of(daemon, "org/bad") == good


def test_holders_of_a_wrong_file_get_an_event(serve, models, fixtures):
    good, bad = weights(fixtures, models)
    hub_repo(models, "bad", bad, hashlib.sha256(good).hexdigest())
    hub_repo(models, "other", bad, hashlib.sha256(bad).hexdigest())
    daemon = serve("--watch", "off")
    with daemon.session(minor=2) as session, daemon.session(minor=1) as older:
        other, = session.attach("org/other")
        attached, = session.attach("org/bad")
        event, _ = session.receive()
        assert int(event.get("id", 0)) == 0
        ended = event["leases_ended"]
        assert ended["leases"] == [attached.lease] and ended["model"].startswith("org/bad")
        assert ended["why"]["code"] == "corrupted_model"
        assert attached.read() == bad, "what is mapped stays as it is"
        assert daemon.state("org/bad").get("leases", 0) == 0
        assert other.read() == bad
        wait_for_claim(daemon, "org/other", "verified")
        # An older client gets no event, and its session goes on.
        assert older.attach("org/other")[0].read() == bad


def test_python_raises_at_the_next_use(serve, models, fixtures):
    good, bad = weights(fixtures, models)
    hub_repo(models, "bad", bad, hashlib.sha256(good).hexdigest())
    daemon = serve("--watch", "off")
    import warmset

    with warmset.connect(str(daemon.socket)) as session:
        model = session.attach("org/bad")
        name = next(iter(model))
        wait_for_claim(daemon, "org/bad", "mismatch")

        def raises():
            try:
                model[name]
            except warmset.CorruptedModelError:
                return True
            return False

        wait_until(raises, "the error at the next use")
        assert session.state("org/bad").claim == "mismatch"
        with pytest.raises(warmset.CorruptedModelError):
            session.attach("org/bad")

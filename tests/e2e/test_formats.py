"""Files of every format, attached in Python: the bytes are those that were written."""

import json
import struct

import pytest

# Prints, of every tensor of argv[1], its dtype, its shape and its bytes.
READ = """
import json, sys, warmset
with warmset.connect() as session, session.attach(sys.argv[1]) as model:
    print(json.dumps({name: [tensor.dtype, list(tensor.shape), bytes(tensor.memoryview()).hex()]
                      for name, tensor in model.items()}))
"""


def write_gguf(path, content):
    """A GGUF file of version 3 with an F32 tensor and blocks of Q4_0."""
    def text(value):
        return struct.pack("<Q", len(value)) + value

    def info(name, extents, kind, offset):
        return (text(name) + struct.pack("<I", len(extents))
                + struct.pack(f"<{len(extents)}Q", *extents) + struct.pack("<IQ", kind, offset))

    plain, blocks = content("plain", 2 * 64 * 4), content("blocks", 3 * 2 * 18)
    header = struct.pack("<IIQQ", 0x46554747, 3, 2, 1)
    header += text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    # Extents are innermost first.
    header += info(b"token_embd.weight", (64, 2), 0, 0)
    header += info(b"output.weight", (64, 3), 2, len(plain))
    path.write_bytes(header + b"\0" * (-len(header) % 32) + plain + blocks)
    return {"token_embd.weight": ["F32", [2, 64], plain.hex()],
            "output.weight": ["Q4_0", [3, 64], blocks.hex()]}


def write_pytorch(path, content, legacy=False):
    import torch

    plain, half = content("plain", 2 * 3 * 4), content("half", 5 * 2)
    tensors = {"a.weight": torch.frombuffer(bytearray(plain), dtype=torch.float32).view(2, 3),
               "a.bias": torch.frombuffer(bytearray(half), dtype=torch.bfloat16)}
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
    return {"a.weight": ["F32", [2, 3], plain.hex()], "a.bias": ["BF16", [5], half.hex()]}


def write_legacy_pytorch(path, content):
    return write_pytorch(path, content, legacy=True)


def write_onnx(path, content):
    """Initialisers in the file and beside it."""
    import onnx

    def tensor(name, data, shape):
        return onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=shape,
                                raw_data=data)

    inside, outside = content("inside", 4 * 4), content("outside", 2 * 8 * 4)
    beside = tensor("outside", b"", [8, 2])
    beside.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", path.name + ".data"), ("offset", "0"),
                       ("length", str(len(outside)))):
        beside.external_data.add(key=key, value=value)
    node = onnx.helper.make_node("MatMul", ["x", "outside"], ["y"])
    shift = onnx.helper.make_node("Add", ["z", "inside"], ["x"])
    graph = onnx.helper.make_graph(
        [shift, node], "tiny",
        [onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [4, 8])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4, 2])],
        [tensor("inside", inside, [4, 1]), beside])
    model = onnx.helper.make_model(graph, ir_version=10,
                                   opset_imports=[onnx.helper.make_opsetid("", 20)])
    path.write_bytes(model.SerializeToString())
    path.with_name(path.name + ".data").write_bytes(outside)
    return {"inside": ["F32", [4, 1], inside.hex()], "outside": ["F32", [8, 2], outside.hex()]}


FORMATS = {"tiny.gguf": write_gguf, "tiny.pt": write_pytorch, "tiny.pth": write_legacy_pytorch,
           "tiny.onnx": write_onnx}


@pytest.mark.parametrize("name", FORMATS)
def test_listed_cached_and_attached(serve, models, fixtures, name):
    expected = FORMATS[name](models / name, fixtures.content)
    daemon = serve()
    model, = daemon.cli("list")["models"]
    assert (model["name"], model["verdict"]) == (name, "ok")
    assert daemon.cli("cache", name)["state"]["cache_state"] == "cached"
    reader = daemon.python(READ, name)
    out, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0 and json.loads(out) == expected


@pytest.mark.parametrize("name", ["tiny.gguf", "tiny.pt"])
def test_passed_by_descriptor(serve, models, fixtures, tmp_path, name):
    """A file outside of the roots, which the daemon gets open."""
    file = tmp_path / name
    FORMATS[name](file, fixtures.content)
    daemon = serve()
    with open(file, "rb") as opened, daemon.session() as session:
        component, = session.attach(fds=[opened.fileno()], file=True, file_path=str(file))
        assert component.read() == file.read_bytes()

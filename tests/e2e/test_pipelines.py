"""Models of several files, through the drop-in: the rest is read while the first is used."""

import pytest

from harness.clients import finish
from harness.daemon import MIB, wait_until

UNET, VAE, TEXT = "unet", "vae", "text_encoder"


@pytest.fixture
def pipeline(models, fixtures):
    """A diffusers folder of three components, one of them in two variants."""
    folder = models / "pipe"
    files = {UNET: "diffusion_pytorch_model", VAE: "diffusion_pytorch_model", TEXT: "model"}
    fixtures.write_json(folder / "model_index.json", {
        "_class_name": "StableDiffusionPipeline",
        UNET: ["diffusers", "UNet2DConditionModel"], VAE: ["diffusers", "AutoencoderKL"],
        TEXT: ["transformers", "CLIPTextModel"]})
    paths = {}
    for component, name in files.items():
        (folder / component).mkdir()
        fixtures.write_json(folder / component / "config.json", {})
        for variant in ("", ".fp16"):
            path = folder / component / f"{name}{variant}.safetensors"
            fixtures.save(path, {f"{component}{variant}.weight": ("U8", [4 * MIB])})
            paths[component + variant] = path
    return paths


def in_ram(daemon):
    detail = daemon.cli("show", "pipe")
    return {component["name"] for component in detail["components"]
            if component["cache_state"] == "cached"}


def load(daemon, path):
    """As a program does that loads one component through the drop-in."""
    finish(daemon.python("""
import sys, os
os.environ["WARMSET"] = "require"
from warmset.safetensors import load_file
load_file(sys.argv[1])
""", path))


def preloads(daemon, count):
    """Counts of the reason "pipeline"."""
    for counts in daemon.cli("ps", "--usage").get("preloads", ()):
        if counts["reason"] == "pipeline":
            return int(counts.get(count, 0))
    return 0


def test_the_first_file_brings_the_whole_pipeline(serve, pipeline):
    daemon = serve()
    load(daemon, pipeline[TEXT])
    wait_until(lambda: in_ram(daemon) == {UNET, VAE, TEXT}, "the rest of the pipeline")
    assert preloads(daemon, "loaded") == 2
    load(daemon, pipeline[UNET])
    assert preloads(daemon, "used") == 1


def test_a_variant_brings_its_own(serve, pipeline):
    daemon = serve()
    load(daemon, pipeline[TEXT + ".fp16"])
    wanted = {UNET + ".fp16", VAE + ".fp16", TEXT + ".fp16"}
    wait_until(lambda: in_ram(daemon) == wanted, "the rest of the variant")


def test_it_takes_nobodys_place(serve, pipeline, models, fixtures):
    fixtures.save(models / "other.safetensors", {"w": ("U8", [20 * MIB])})
    daemon = serve(ram_limit="30MiB")
    daemon.cli("cache", "other.safetensors")
    load(daemon, pipeline[TEXT])
    wait_until(lambda: preloads(daemon, "loaded") == 1, "the one component that fits")
    assert daemon.state("other.safetensors")["cache_state"] == "CACHED"


def test_a_program_that_uses_one_part_gets_one(serve, pipeline):
    """After a restart, the habit decides, which only ever was the VAE."""
    daemon = serve()
    for _ in range(2):
        with daemon.session() as session:
            session.attach("pipe", components=[VAE])
    daemon.cli("uncache", "pipe")
    daemon.end()
    daemon.start()
    load(daemon, pipeline[VAE])
    assert in_ram(daemon) == {VAE} and preloads(daemon, "issued") == 0


def test_the_first_shard_brings_them_all(serve, models, fixtures):
    fixtures.make_sharded(models, 8)
    daemon = serve()
    shards = sorted(models.rglob("*-of-*.safetensors"))
    load(daemon, shards[0])
    [model] = daemon.cli("list")["models"]
    assert model["cache_state"] == "cached"
    reads = daemon.log.read_text().count(" read in ")
    load(daemon, shards[-1])
    assert daemon.log.read_text().count(" read in ") == reads == 1


def test_torch_load_of_a_checkpoint_of_several_parts(serve, models, tmp_path):
    """Its parts' memory serves, and what is in none of them is read from the file."""
    daemon = serve()
    finish(daemon.python("""
import os, sys, torch
os.environ["WARMSET"] = "require"
from warmset._torch_load import wrap
parts = {f"model.diffusion_model.input_blocks.{i}.0.weight": torch.randn(320, 4, 3, 3)
         for i in range(3)}
parts |= {f"first_stage_model.decoder.conv_in.{i}.weight": torch.randn(512, 4, 3, 3)
          for i in range(3)}
parts |= {f"cond_stage_model.transformer.text_model.encoder.layers.{i}.mlp.fc1.weight":
          torch.randn(64, 768) for i in range(3)}
parts["turned"] = torch.randn(300, 200).t()
parts["big"] = torch.randn(100_000)[5:10]
path = sys.argv[1]
torch.save({"state_dict": parts, "global_step": 3}, path)
warm, plain = wrap(torch.load)(path), torch.load(path)
assert warm["global_step"] == 3 and warm["state_dict"].keys() == plain["state_dict"].keys()
for name, tensor in plain["state_dict"].items():
    other = warm["state_dict"][name]
    assert torch.equal(other, tensor) and other.stride() == tensor.stride(), name
    assert other.storage_offset() == tensor.storage_offset(), name
assert "memfd:warmset-entry" in open("/proc/self/maps").read()
""", models / "checkpoint.ckpt"))
    [model] = [each for each in daemon.cli("list")["models"] if "checkpoint" in each["name"]]
    assert model["verdict"] == "ok"


def test_transformers_takes_pytorch_model_bin_from_warm_ram(serve, models):
    daemon = serve()
    finish(daemon.python("""
import os, pathlib, sys
import warmset.auto
import torch
from transformers import BertConfig, BertModel
os.environ["WARMSET"] = "off"
folder = pathlib.Path(sys.argv[1])
made = BertModel(BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                            intermediate_size=16, vocab_size=50))
made.config.save_pretrained(folder)
torch.save(made.state_dict(), folder / "pytorch_model.bin")
os.environ["WARMSET"] = "require"
loaded = BertModel.from_pretrained(folder, use_safetensors=False).state_dict()
for name, tensor in made.state_dict().items():
    assert torch.equal(loaded[name], tensor), name
""", models / "bert"))
    # Under which name, depends on whether it was passed before its folder was scanned.
    assert "cached" in {model["cache_state"] for model in daemon.cli("list")["models"]}

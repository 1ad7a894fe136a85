"""What programs do with diffusers' loaders and savers, on small random models.

diffusers' source package holds no tests of its own, so these stand in for them; each
compares what was loaded with what was saved, bit by bit. scripts/upstream.sh runs them
without and with the drop-in.
"""

import copy
import json
import pickle

import diffusers
import gguf
import numpy
import peft
import pytest
import torch
import transformers
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    DiffusionPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, save_file

WORDS = ["l", "o", "w", "e", "r", "lo", "l</w>", "w</w>", "r</w>", "low</w>", "er</w>"]


def unet(seed=0):
    torch.manual_seed(seed)
    return UNet2DConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=16, norm_num_groups=16,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), attention_head_dim=2,
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=32,
    ).eval()


def flux():
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    ).eval()


def tokenizer(folder):
    folder.mkdir(parents=True)
    vocabulary = [*WORDS, "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\nl o\nlo w</w>\ne r</w>\n")
    return transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), unk_token="<|endoftext|>",
        model_max_length=77,
    )


def pipeline(folder):
    torch.manual_seed(0)
    text = transformers.CLIPTextModel(transformers.CLIPTextConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        vocab_size=len(WORDS) + 2, projection_dim=32, bos_token_id=11, eos_token_id=12,
    ))
    vae = AutoencoderKL(
        block_out_channels=[32, 64], latent_channels=4, norm_num_groups=16,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
    )
    made = StableDiffusionPipeline(
        vae=vae.eval(), text_encoder=text.eval(), tokenizer=tokenizer(folder / "tokenizer"),
        unet=unet(), scheduler=DDIMScheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def same(loaded, saved):
    """The same names and bits, and nothing is left on the meta device."""
    ours, theirs = loaded.state_dict(), saved.state_dict()
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype and torch.equal(ours[name], tensor), name


def image(pipe):
    return pipe(
        "low er", num_inference_steps=2, output_type="np", height=32, width=32,
        generator=torch.Generator().manual_seed(1),
    ).images


# A folder to save in and load from, by the test's own name for what it does.
SAVES = {
    "as it is": ({}, {}),
    "in shards": ({"max_shard_size": "100KB"}, {}),
    "a variant": ({"variant": "fp16"}, {"variant": "fp16"}),
    "shards of a variant": (
        {"variant": "fp16", "max_shard_size": "100KB"}, {"variant": "fp16"},
    ),
    "pickled": ({"safe_serialization": False}, {"use_safetensors": False}),
    "pickled in shards": (
        {"safe_serialization": False, "max_shard_size": "100KB"}, {"use_safetensors": False},
    ),
    "pickled, not said": ({"safe_serialization": False}, {}),
    "all at once": ({}, {"low_cpu_mem_usage": False}),
    "without mmap": ({}, {"disable_mmap": True}),
    "on the CPU by a map": ({}, {"device_map": "cpu"}),
}


@pytest.mark.parametrize("how", SAVES)
def test_a_model_comes_back(tmp_path, how):
    save, load = SAVES[how]
    saved = unet()
    saved.save_pretrained(tmp_path, **save)
    same(UNet2DConditionModel.from_pretrained(tmp_path, **load), saved)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_comes_back_in_another_dtype(tmp_path, dtype):
    saved = unet()
    saved.save_pretrained(tmp_path)
    same(UNet2DConditionModel.from_pretrained(tmp_path, torch_dtype=dtype), saved.to(dtype))


def test_what_is_changed_in_place_is_ones_own(tmp_path):
    saved = unet()
    saved.save_pretrained(tmp_path)
    loaded = UNet2DConditionModel.from_pretrained(tmp_path)
    for parameter in loaded.parameters():
        parameter.data.mul_(2)
    same(UNet2DConditionModel.from_pretrained(tmp_path), saved)


def test_a_model_is_saved_over_what_it_was_loaded_from(tmp_path):
    unet().save_pretrained(tmp_path)
    loaded = UNet2DConditionModel.from_pretrained(tmp_path)
    with torch.no_grad():
        loaded.conv_in.weight.add_(1)
    loaded.save_pretrained(tmp_path)
    same(UNet2DConditionModel.from_pretrained(tmp_path), loaded)
    same(loaded, loaded)
    another = unet(seed=1)
    another.save_pretrained(tmp_path)
    same(UNet2DConditionModel.from_pretrained(tmp_path), another)


def test_a_loaded_model_is_copied_and_pickled(tmp_path):
    unet().save_pretrained(tmp_path)
    loaded = UNet2DConditionModel.from_pretrained(tmp_path)
    same(copy.deepcopy(loaded), loaded)
    same(pickle.loads(pickle.dumps(loaded)), loaded)


def test_a_loaded_model_is_trained_and_saved(tmp_path):
    unet().save_pretrained(tmp_path / "first")
    loaded = UNet2DConditionModel.from_pretrained(tmp_path / "first").train()
    optimiser = torch.optim.AdamW(loaded.parameters(), lr=0.1)
    for _ in range(2):
        out = loaded(torch.ones(1, 4, 16, 16), 1, torch.ones(1, 3, 32)).sample
        out.square().mean().backward()
        optimiser.step()
    loaded.save_pretrained(tmp_path / "second")
    torch.save(optimiser.state_dict(), tmp_path / "optimizer.bin")
    same(UNet2DConditionModel.from_pretrained(tmp_path / "second"), loaded)
    state = torch.load(tmp_path / "optimizer.bin", weights_only=True)
    assert len(state["state"]) == len(list(loaded.parameters()))
    optimiser.load_state_dict(state)


@pytest.mark.parametrize("way", ["cut", "header", "missing"])
def test_a_broken_file_is_refused(tmp_path, way):
    unet().save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    content = path.read_bytes()
    path.unlink()
    if way != "missing":
        path.write_bytes(content[:-100] if way == "cut" else b"\xff" * 8 + content[8:])
    with pytest.raises(OSError):
        UNet2DConditionModel.from_pretrained(tmp_path)


def test_other_shapes(tmp_path):
    unet().save_pretrained(tmp_path)
    other = {"cross_attention_dim": 16, "low_cpu_mem_usage": False}
    with pytest.raises((ValueError, RuntimeError)):
        UNet2DConditionModel.from_pretrained(tmp_path, **other)
    UNet2DConditionModel.from_pretrained(tmp_path, ignore_mismatched_sizes=True, **other)


def test_a_control_net(tmp_path):
    saved = ControlNetModel.from_unet(unet()).eval()
    saved.save_pretrained(tmp_path)
    same(ControlNetModel.from_pretrained(tmp_path), saved)


def test_a_moving_average(tmp_path):
    model = unet()
    saved = EMAModel(model.parameters(), model_cls=UNet2DConditionModel,
                     model_config=model.config)
    saved.save_pretrained(tmp_path)
    loaded = EMAModel.from_pretrained(tmp_path, UNet2DConditionModel)
    for ours, theirs in zip(loaded.shadow_params, saved.shadow_params):
        assert torch.equal(ours, theirs)


def test_a_single_file(tmp_path):
    saved = flux()
    saved.save_pretrained(tmp_path / "folder")
    save_file(saved.state_dict(), tmp_path / "one.safetensors")
    torch.save(saved.state_dict(), tmp_path / "one.pt")
    for name in ("one.safetensors", "one.pt"):
        loaded = FluxTransformer2DModel.from_single_file(
            str(tmp_path / name), config=str(tmp_path / "folder"))
        same(loaded, saved)


def test_a_gguf_file(tmp_path):
    saved = flux()
    saved.save_pretrained(tmp_path / "folder")
    writer = gguf.GGUFWriter(tmp_path / "one.gguf", "flux")
    for name, tensor in saved.state_dict().items():
        data = tensor.numpy()
        if data.ndim == 2 and data.shape[1] % 32 == 0:
            packed = gguf.quants.quantize(data, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    loaded = FluxTransformer2DModel.from_single_file(
        str(tmp_path / "one.gguf"), config=str(tmp_path / "folder"),
        quantization_config=diffusers.GGUFQuantizationConfig(compute_dtype=torch.float32))
    assert sorted(loaded.state_dict()) == sorted(saved.state_dict())
    weight = loaded.proj_out.weight
    exact = saved.proj_out.weight.detach().numpy()
    expected = gguf.quants.quantize(exact, gguf.GGMLQuantizationType.Q8_0)
    assert numpy.array_equal(weight.as_tensor().numpy(), expected)


PIPELINES = {
    "as it is": ({}, {}),
    "a variant": ({"variant": "fp16"}, {"variant": "fp16"}),
    "without mmap": ({}, {"disable_mmap": True}),
}


@pytest.mark.parametrize("how", PIPELINES)
def test_a_pipeline_makes_the_same_image(tmp_path, how):
    save, load = PIPELINES[how]
    saved = pipeline(tmp_path)
    saved.save_pretrained(tmp_path / "pipe", **save)
    loaded = DiffusionPipeline.from_pretrained(tmp_path / "pipe", **load)
    loaded.set_progress_bar_config(disable=True)
    assert numpy.array_equal(image(loaded), image(saved))


def test_a_pipeline_with_a_component_of_ones_own(tmp_path):
    saved = pipeline(tmp_path)
    saved.save_pretrained(tmp_path / "pipe")
    own = unet(seed=1)
    loaded = DiffusionPipeline.from_pretrained(tmp_path / "pipe", unet=own)
    assert loaded.unet is own
    same(loaded.vae, saved.vae)
    part = UNet2DConditionModel.from_pretrained(tmp_path / "pipe", subfolder="unet")
    same(part, saved.unet)


def test_a_pipeline_loaded_by_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENABLE_PARALLEL_LOADING", "yes")
    saved = pipeline(tmp_path)
    saved.unet.save_pretrained(tmp_path / "unet", max_shard_size="100KB")
    same(UNet2DConditionModel.from_pretrained(tmp_path / "unet"), saved.unet)


@pytest.mark.parametrize("safe", [True, False])
def test_a_lora_is_loaded_fused_and_taken_out(tmp_path, safe):
    saved = pipeline(tmp_path)
    saved.save_pretrained(tmp_path / "pipe")
    torch.manual_seed(1)
    saved.unet.add_adapter(peft.LoraConfig(
        r=4, lora_alpha=4, target_modules=["to_q", "to_v"], init_lora_weights=False))
    layers = peft.utils.get_peft_model_state_dict(saved.unet)
    StableDiffusionPipeline.save_lora_weights(tmp_path / "lora", layers,
                                              safe_serialization=safe)
    loaded = DiffusionPipeline.from_pretrained(tmp_path / "pipe")
    loaded.set_progress_bar_config(disable=True)
    plain = image(loaded)
    loaded.load_lora_weights(tmp_path / "lora", adapter_name="style")
    assert numpy.array_equal(image(loaded), image(saved))
    loaded.set_adapters("style", 0.5)
    assert not numpy.array_equal(image(loaded), plain)
    loaded.fuse_lora()
    loaded.unfuse_lora()
    loaded.unload_lora_weights()
    again = DiffusionPipeline.from_pretrained(tmp_path / "pipe")
    again.set_progress_bar_config(disable=True)
    assert numpy.array_equal(image(again), plain)


def test_textual_inversion(tmp_path):
    saved = pipeline(tmp_path)
    saved.save_pretrained(tmp_path / "pipe")
    embedding = torch.randn(1, 32)
    save_file({"<cat>": embedding}, tmp_path / "cat.safetensors")
    torch.save({"<dog>": embedding}, tmp_path / "dog.bin")
    loaded = DiffusionPipeline.from_pretrained(tmp_path / "pipe")
    loaded.load_textual_inversion(tmp_path, weight_name="cat.safetensors")
    loaded.load_textual_inversion(tmp_path, weight_name="dog.bin")
    table = loaded.text_encoder.get_input_embeddings().weight
    assert torch.equal(table[-2:], embedding.expand(2, 32))


def test_files_of_a_pipeline_by_hand(tmp_path):
    saved = pipeline(tmp_path)
    saved.save_pretrained(tmp_path / "pipe")
    state = load_file(tmp_path / "pipe/unet/diffusion_pytorch_model.safetensors")
    loaded = unet(seed=1)
    loaded.load_state_dict(state, assign=True)
    same(loaded, saved.unet)

"""Models that the libraries define, at sizes of no release, are what they are: built on the
meta device, written as files without weights."""

import logging
import os
import pathlib

import identify_cases
import pytest

WARMSET = str(pathlib.Path(os.environ["WARMSET_BIN_DIR"]) / "warmset")
SMALL = dict(hidden_size=96, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             intermediate_size=160, vocab_size=1234)

# Class, configuration, what it is; each stands for a kind of model.
DIFFUSERS = [
    ("LTXVideoTransformer3DModel", dict(num_layers=2), "diffusion_model", "ltx-video"),
    ("CogVideoXTransformer3DModel", dict(num_layers=2), "diffusion_model", "cogvideox"),
    ("SanaTransformer2DModel", dict(num_layers=2), "diffusion_model", "sana"),
    ("MochiTransformer3DModel", dict(num_layers=2), "diffusion_model", "mochi"),
    ("HunyuanVideo15Transformer3DModel", dict(num_layers=2), "diffusion_model", "hunyuan-video-1.5"),
    ("QwenImageTransformer2DModel", dict(num_layers=2), "diffusion_model", "qwen-image"),
    ("FluxTransformer2DModel", dict(num_layers=2, num_single_layers=2), "diffusion_model",
     "flux.1|flux.1-schnell"),
    ("UNetSpatioTemporalConditionModel", {}, "diffusion_model", "svd"),
    ("AutoencoderKLTemporalDecoder",
     dict(block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D"] * 2), "vae", "svd-vae"),
    ("AutoencoderKLLTXVideo", {}, "vae", "ltx-video-vae"),
    ("AutoencoderTiny", {}, "vae_approx", "taesd"),
    ("SanaControlNetModel", dict(num_layers=1), "controlnet", "sana"),
]
TRANSFORMERS = [
    ("LlamaForCausalLM", SMALL, "llm", "llama"),
    ("Qwen2ForCausalLM", SMALL, "llm", "qwen2"),
    ("Qwen3ForCausalLM", SMALL, "llm", "qwen3"),
    ("GPT2LMHeadModel", dict(n_layer=2, n_embd=96, n_head=4), "llm", "gpt2"),
    ("GptOssForCausalLM", {**SMALL, "num_local_experts": 4, "head_dim": 24}, "llm", "gpt-oss"),
    ("Qwen3MoeForCausalLM", {**SMALL, "num_experts": 4}, "llm", "qwen3-moe"),
    ("MixtralForCausalLM", {**SMALL, "num_local_experts": 4}, "llm", "mixtral"),
    ("BertForMaskedLM", dict(num_hidden_layers=2), "text_encoder", "bert"),
    ("T5EncoderModel", dict(num_layers=2, d_model=96, feed_forward_proj="gated-gelu"), "text_encoder",
     "t5"),
    ("CLIPTextModel", dict(num_hidden_layers=2, hidden_size=1024), "text_encoder", "clip-h"),
    ("SiglipVisionModel", dict(num_hidden_layers=2), "clip_vision", "siglip"),
    ("ViTForImageClassification", dict(num_hidden_layers=2), "vision", "vit"),
    ("WhisperForConditionalGeneration", dict(encoder_layers=2, decoder_layers=2), "audio", "whisper"),
    ("Wav2Vec2ForCTC", dict(num_hidden_layers=2), "audio", "wav2vec2"),
]


def case(tensors, kind, architecture, config=None, prefix=""):
    keys = {prefix + name: ["F16", list(value.shape)] for name, value in tensors.items()}
    return {"file": "model.safetensors", "meta": None, "keys": keys, "config": config,
            "expected": [kind, architecture]}


def packed(tensors):
    """As GPTQ packs four bits: the matrices of layers become integers with scales beside."""
    names = {}
    for name, value in tensors.items():
        if value.dim() == 2 and ".layers." in name:
            out, in_ = value.shape
            stem = name.removesuffix("weight")
            names[stem + "qweight"] = value.new_empty(in_ // 8, out)
            names[stem + "qzeros"] = value.new_empty(1, out // 8)
            names[stem + "scales"] = value.new_empty(1, out)
            names[stem + "g_idx"] = value.new_empty(in_)
        else:
            names[name] = value
    return names


def state_of(cls, configuration=None):
    import torch

    with torch.device("meta"):
        return dict((cls(**configuration) if isinstance(configuration, dict) else
                     cls(configuration)).state_dict())


def on_disk(cls, options):
    """(names in memory, names on disk) of a class of transformers."""
    import torch
    from transformers import initialization
    from transformers.core_model_loading import revert_weight_conversion

    with initialization.no_init_weights(), torch.device("meta"):
        model = cls(cls.config_class(**options))
        state = dict(model.state_dict())
        return state, revert_weight_conversion(model, dict(state))


@pytest.fixture(scope="module")
def results():
    logging.disable(logging.CRITICAL)
    import diffusers
    import transformers

    cases = {}
    for name, options, kind, architecture in DIFFUSERS:
        state = state_of(getattr(diffusers, name), options)
        cases[name] = case(state, kind, architecture)
        cases[name + " with its class"] = case(state, kind, architecture, {"_class_name": name})
    for name, options, kind, architecture in TRANSFORMERS:
        memory, disk = on_disk(getattr(transformers, name), options)
        cases[name] = case(memory, kind, architecture)
        cases[name + " on disk"] = case(disk, kind, architecture)
        cases[name + " compiled"] = case(memory, kind, architecture, prefix="_orig_mod.")
        cases[name + " with its class"] = case(memory, kind, architecture,
                                               {"architectures": [name]})
    llama, _ = on_disk(transformers.LlamaForCausalLM, SMALL)
    cases["packed"] = case(packed(llama), "llm", "llama")
    cases["unknown class"] = case(llama, "llm", "llama", {"architectures": ["NewForCausalLM"]})
    flux = state_of(diffusers.FluxTransformer2DModel, dict(num_layers=1, num_single_layers=1))
    cases["class against names"] = case(flux, "diffusion_model", "ovis-image",
                                        {"_class_name": "OvisImageTransformer2DModel"})
    logging.disable(logging.NOTSET)
    return {result.name: result for result in identify_cases.replay(WARMSET, cases)}


def test_every_model_is_what_it_is(results):
    wrong = [(name, result.kind, result.architecture, result.expected)
             for name, result in results.items()
             if name != "unknown class" and identify_cases.judge(result) != "right"]
    assert wrong == []


def test_names_that_many_have_are_uncertain(results):
    assert results["LlamaForCausalLM"].confidence < 0.6
    assert results["LTXVideoTransformer3DModel"].confidence >= 0.8


def test_an_unknown_class_lowers_confidence(results):
    unknown = results["unknown class"]
    assert unknown.confidence < 0.6 or unknown.architecture == "NewForCausalLM"


def test_evidence_says_how_much_fits(results):
    assert any("% of the names are those of ltx-video" in each
               for each in results["LTXVideoTransformer3DModel"].evidence)

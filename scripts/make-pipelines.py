#!/usr/bin/env python3
"""Makes tiny pipelines as the diffusers library saves them, with random weights.

Usage: scripts/make-pipelines.py KIND DIR [--variant fp16] [--max-shard-size 20KB] [--bin]

KIND is sd1, sdxl or flux. Needs torch, diffusers and transformers; nothing is
downloaded. Tests import the functions below.
"""

import argparse
import inspect
import pathlib

KINDS = ("sd1", "sdxl", "flux")


def text_config():
    from transformers import CLIPTextConfig

    return CLIPTextConfig(bos_token_id=0, eos_token_id=2, hidden_size=8, intermediate_size=16,
                          num_attention_heads=2, num_hidden_layers=2, pad_token_id=1,
                          projection_dim=8, vocab_size=1000)


def vae():
    from diffusers import AutoencoderKL

    return AutoencoderKL(block_out_channels=[4, 8], in_channels=3, out_channels=3,
                         down_block_types=["DownEncoderBlock2D"] * 2,
                         up_block_types=["UpDecoderBlock2D"] * 2, latent_channels=4,
                         norm_num_groups=2)


def build(pipeline, parts):
    """The pipeline of these parts; those that it may lack are absent."""
    for name in inspect.signature(pipeline.__init__).parameters:
        if name in ("tokenizer", "tokenizer_2", "safety_checker", "feature_extractor",
                    "image_encoder"):
            parts.setdefault(name, None)
    return pipeline(**parts)


def make_sd1():
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    unet = UNet2DConditionModel(
        block_out_channels=(4, 8), layers_per_block=1, sample_size=32, in_channels=4,
        out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=8,
        norm_num_groups=2)
    return build(StableDiffusionPipeline, {
        "unet": unet, "vae": vae(), "text_encoder": CLIPTextModel(text_config()),
        "scheduler": DDIMScheduler(steps_offset=1, clip_sample=False),
        "requires_safety_checker": False})


def make_sdxl():
    from diffusers import DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    unet = UNet2DConditionModel(
        block_out_channels=(2, 4), layers_per_block=1, sample_size=32, in_channels=4,
        out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=(2, 4),
        addition_embed_type="text_time", addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2), projection_class_embeddings_input_dim=80,
        cross_attention_dim=64, norm_num_groups=1)
    return build(StableDiffusionXLPipeline, {
        "unet": unet, "vae": vae(), "text_encoder": CLIPTextModel(text_config()),
        "text_encoder_2": CLIPTextModelWithProjection(text_config()),
        "scheduler": DDIMScheduler(steps_offset=1, clip_sample=False)})


def make_flux():
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
    from transformers import CLIPTextModel, T5Config, T5EncoderModel

    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8])
    t5 = T5EncoderModel(T5Config(d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4,
                                 vocab_size=1000))
    return build(FluxPipeline, {
        "transformer": transformer, "vae": vae(), "text_encoder": CLIPTextModel(text_config()),
        "text_encoder_2": t5, "scheduler": FlowMatchEulerDiscreteScheduler()})


def make(kind, folder, **options):
    """Saves the pipeline; options are those of save_pretrained."""
    import torch

    torch.manual_seed(0)
    pipeline = {"sd1": make_sd1, "sdxl": make_sdxl, "flux": make_flux}[kind]()
    pipeline.save_pretrained(folder, **options)
    return pathlib.Path(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder")
    parser.add_argument("--variant")
    parser.add_argument("--max-shard-size")
    parser.add_argument("--bin", action="store_true", help="pickles instead of safetensors")
    arguments = parser.parse_args()
    options = {"variant": arguments.variant, "max_shard_size": arguments.max_shard_size}
    make(arguments.kind, arguments.folder, safe_serialization=not arguments.bin,
         **{key: value for key, value in options.items() if value})


if __name__ == "__main__":
    main()

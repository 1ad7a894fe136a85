// Text encoders, language models, vision encoders and VAEs.
#include <array>

#include "inspect/identify/rules.h"

namespace warmset {
namespace {

constexpr std::array kShorthands = {
    Shorthand{"text_only", "!visual.* !vision_tower.*"},
    Shorthand{"vision_only", "!text_model.encoder.layers.0.*"},
    Shorthand{"vae2d", "decoder.conv_in.weight[rank]=4"},
    Shorthand{"vae3d", "decoder.conv_in.weight[rank]=5"},
};

constexpr std::array kRules = {
    // CLIP: the deepest layer tells the size, so it is asked for first.
    ModelRule{"clip-g", "text_encoder", .95,
              "text_model.encoder.layers.30.* !vision_model.encoder.layers.0.*"},
    ModelRule{"clip-h", "text_encoder", .95,
              "text_model.encoder.layers.22.* !text_model.encoder.layers.30.* "
              "!vision_model.encoder.layers.0.*"},
    ModelRule{"clip-l", "text_encoder", .95,
              "text_model.encoder.layers.0.* !text_model.encoder.layers.22.* "
              "!vision_model.encoder.layers.0.*"},
    ModelRule{"clip-g", "text_encoder", .95, "resblocks.0.ln_1.weight[0]=1280"},
    ModelRule{"clip-h", "text_encoder", .95, "resblocks.0.ln_1.weight[0]=1024"},
    ModelRule{"clip-l", "text_encoder", .95, "resblocks.0.ln_1.weight[0]=768"},
    ModelRule{"", "text_encoder", .7, "{resblocks,text_model.encoder.layers}.0.*"},

    // T5. UMT5 has its position bias in every block; the old XXL has one wi.
    ModelRule{"t5-xxl", "text_encoder", .95,
              "encoder.block.23.layer.1.DenseReluDense.wi_1.weight[-1]=4096 "
              "!encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"},
    ModelRule{"umt5-xxl", "text_encoder", .95,
              "encoder.block.23.layer.1.DenseReluDense.wi_1.weight[-1]=4096 "
              "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"},
    ModelRule{"t5-xl", "text_encoder", .95,
              "encoder.block.23.layer.1.DenseReluDense.wi_1.weight[-1]=2048"},
    ModelRule{"t5-xxl-old", "text_encoder", .9,
              "encoder.block.23.layer.1.DenseReluDense.wi.weight"},
    ModelRule{"byt5-small", "text_encoder", .9,
              "{encoder.,}block.0.layer.0.SelfAttention.k.weight[0]=384 !encoder.block.23.*"},
    ModelRule{"t5-base", "text_encoder", .8,
              "{encoder.,}block.0.layer.0.SelfAttention.k.weight !encoder.block.23.* "
              "!{encoder.,}block.0.layer.0.SelfAttention.k.weight[0]=384"},
    ModelRule{"t5-xxl", "text_encoder", .9, "enc.blk.23.ffn_up.weight[-1]=4096"},
    ModelRule{"t5-xl", "text_encoder", .9, "enc.blk.23.ffn_up.weight[-1]=2048"},
    ModelRule{"t5", "text_encoder", .8, "enc.blk.0.*"},

    // Language models, which serve as text encoders too. Those that see come first.
    ModelRule{"qwen2.5-vl-7b", "llm", .95, "visual.* layers.0.self_attn.k_proj.bias[0]=512"},
    ModelRule{"qwen2.5-vl-3b", "llm", .95, "visual.* layers.0.self_attn.k_proj.bias[0]=256"},
    ModelRule{"qwen3-vl", "llm", .9, "visual.* layers.0.self_attn.q_norm.weight"},
    ModelRule{"qwen2.5-7b", "llm", .85, "layers.0.self_attn.k_proj.bias[0]=512 !visual.*"},
    ModelRule{"qwen2.5-3b", "llm", .85, "layers.0.self_attn.k_proj.bias[0]=256 !visual.*"},
    ModelRule{"qwen3-0.6b", "llm", .9,
              "layers.0.self_attn.q_norm.weight norm.weight[0]=1024 $text_only"},
    ModelRule{"qwen3-2b", "llm", .9,
              "layers.0.self_attn.q_norm.weight norm.weight[0]=2048 $text_only"},
    ModelRule{"qwen3-4b", "llm", .9,
              "layers.0.self_attn.q_norm.weight norm.weight[0]=2560 $text_only"},
    ModelRule{"qwen3-8b", "llm", .9,
              "layers.0.self_attn.q_norm.weight norm.weight[0]=4096 $text_only"},
    ModelRule{"mistral", "llm", .8,
              "layers.0.self_attn.q_proj.weight norm.weight[0]=5120 $text_only "
              "!layers.0.self_attn.q_norm.weight !layers.0.self_attn.k_proj.bias"},
    ModelRule{"gemma2", "llm", .9,
              "layers.0.post_feedforward_layernorm.weight !layers.0.self_attn.q_norm.weight"},
    ModelRule{"gemma3", "llm", .9,
              "layers.0.post_feedforward_layernorm.weight layers.0.self_attn.q_norm.weight"},
    ModelRule{"llama", "llm", .5,
              "layers.0.self_attn.q_proj.weight layers.0.mlp.gate_proj.weight embed_tokens.weight "
              "$text_only !norm.weight[0]=5120 !layers.0.self_attn.{q_norm.weight,k_proj.bias} "
              "!layers.0.post_feedforward_layernorm.weight"},
    ModelRule{"", "llm", .7, "layers.0.self_attn.q_proj.weight embed_tokens.weight"},
    ModelRule{"", "llm", .7, "blk.0.attn_norm.weight token_embd.weight"},

    ModelRule{"clip-vision-g", "image_encoder", .9,
              "vision_model.encoder.layers.47.* $vision_only"},
    ModelRule{"clip-vision-h", "image_encoder", .9,
              "vision_model.encoder.layers.30.* !vision_model.encoder.layers.47.* $vision_only"},
    ModelRule{"clip-vision-l", "image_encoder", .9,
              "vision_model.encoder.layers.22.* !vision_model.encoder.layers.26.* $vision_only"},
    ModelRule{"siglip-so400m", "image_encoder", .9,
              "vision_model.encoder.layers.26.* !vision_model.encoder.layers.30.* $vision_only"},
    ModelRule{"", "image_encoder", .7, "vision_model.encoder.layers.0.* $vision_only"},
    ModelRule{"", "image_encoder", .9, "@general.type=mmproj"},
    ModelRule{"", "image_encoder", .9, "@general.architecture=clip"},

    // GGUF files of encoders; other architectures there are language models.
    ModelRule{"t5", "text_encoder", .8, "@general.architecture=t5*"},
    ModelRule{"bert", "text_encoder", .8, "@general.architecture=*bert*"},
    ModelRule{"whisper", "audio", .8, "@general.architecture=whisper"},

    // VAEs. SD's and SDXL's differ in nothing but values, so only the file's name helps.
    ModelRule{"sd1-vae", "vae", .5, "$vae2d decoder.conv_in.weight[1]=4"},
    ModelRule{"sdxl-vae", "vae", .4, "$vae2d decoder.conv_in.weight[1]=4"},
    ModelRule{"sdxl-vae", "vae", .4, "$vae2d decoder.conv_in.weight[1]=4 @name=*xl*"},
    ModelRule{"flux.1-vae", "vae", .5, "$vae2d decoder.conv_in.weight[1]=16 !bn.running_mean"},
    ModelRule{"sd3-vae", "vae", .4, "$vae2d decoder.conv_in.weight[1]=16 !bn.running_mean"},
    ModelRule{"flux.2-vae", "vae", .95, "$vae2d decoder.conv_in.weight[1]=32"},
    ModelRule{"flux.2-vae", "vae", .9, "decoder.conv_in.weight bn.running_mean"},
    ModelRule{"wan2.1-vae", "vae", .5, "$vae3d decoder.conv_in.weight[1]=16"},
    ModelRule{"qwen-image-vae", "vae", .5, "$vae3d decoder.conv_in.weight[1]=16"},
    ModelRule{"wan2.2-vae", "vae", .95, "$vae3d decoder.conv_in.weight[1]=48"},
    ModelRule{"wan2.1-vae", "vae", .7,
              "decoder.middle.0.residual.0.gamma !decoder.upsamples.0.upsamples.0.*"},
    ModelRule{"qwen-image-vae", "vae", .5,
              "decoder.middle.0.residual.0.gamma !decoder.upsamples.0.upsamples.0.*"},
    ModelRule{"wan2.2-vae", "vae", .95,
              "decoder.middle.0.residual.0.gamma decoder.upsamples.0.upsamples.0.*"},
    ModelRule{"", "vae", .7, "{encoder,decoder}.conv_in.* {encoder,decoder}.conv_out.*"},
    ModelRule{"taesd", "vae_approx", .95, "taesd_decoder.1.weight"},
};

}  // namespace

RuleTable EncoderRules() { return {kRules, {}, kShorthands}; }

}  // namespace warmset

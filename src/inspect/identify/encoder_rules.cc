// Text encoders, language models, vision encoders and VAEs.
#include <array>

#include "inspect/identify/rules.h"

namespace warmset {
namespace {

constexpr std::array kShorthands = {
    Shorthand{"clip_text",
              "!{text_model.,}embeddings.token_embedding.weight[0]=32000|250000|256000 "
              "!vision_model.encoder.layers.0.*"},
    Shorthand{"clip_words",
              "{text_model.,}embeddings.token_embedding.weight[0]=49408 "
              "{text_model.,}embeddings.token_embedding.weight"},
    Shorthand{"llama",
              "layers.0.self_attn.q_proj.weight layers.0.mlp.gate_proj.weight !visual.* "
              "!vision_tower.* !layers.0.self_attn.{q_norm.weight,k_proj.bias} "
              "!layers.0.post_feedforward_layernorm.weight"},
    Shorthand{"t5_key", "{encoder.,}block.0.layer.0.SelfAttention.k.weight"},
    // mT5 and UMT5 know the words of more languages.
    Shorthand{"t5_words", "!shared.weight[0]=250100|250112|256384"},
    Shorthand{"qwen2",
              "layers.0.self_attn.k_proj.bias layers.0.mlp.gate_proj.weight !visual.* "
              "!vision_tower.* !layers.0.self_attn.o_proj.bias"},
    Shorthand{"qwen3",
              "layers.0.self_attn.q_norm.weight layers.0.mlp.gate_proj.weight !visual.* "
              "!vision_tower.*"},
    Shorthand{"consolidated",
              "tok_embeddings.weight layers.0.attention.wq.weight layers.0.feed_forward.w1.weight"},
    Shorthand{"text_only", "!visual.* !vision_tower.*"},
    Shorthand{"vision_only", "!text_model.encoder.layers.0.*"},
    Shorthand{"vae2d", "decoder.conv_in.weight[rank]=4"},
    Shorthand{"vae3d", "decoder.conv_in.weight[rank]=5"},
};

constexpr std::array kRules = {
    // CLIP: the deepest layer tells the size, so it is asked for first. SigLIP's names are
    // the same, its depth and its vocabulary are not.
    ModelRule{"clip-g", "text_encoder", .95,
              "text_model.encoder.layers.30.* !text_model.encoder.layers.32.* $clip_text"},
    ModelRule{"clip-h", "text_encoder", .95,
              "text_model.encoder.layers.22.* !text_model.encoder.layers.{24,30}.* $clip_text"},
    ModelRule{"clip-l", "text_encoder", .95,
              "text_model.encoder.layers.0.mlp.fc1.weight[1]=768 "
              "!text_model.encoder.layers.{12,22,30}.* $clip_text"},
    // transformers 5 has the names without "text_model.".
    ModelRule{"clip-b", "text_encoder", .9, "$clip_words[1]=512 $clip_text"},
    ModelRule{"clip-l", "text_encoder", .9, "$clip_words[1]=768 $clip_text"},
    ModelRule{"clip-h", "text_encoder", .9, "$clip_words[1]=1024 $clip_text"},
    ModelRule{"clip-g", "text_encoder", .9, "$clip_words[1]=1280 $clip_text"},
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
              "$t5_key[0]=384 $t5_key[1]=1472 !encoder.block.23.*"},
    ModelRule{"t5-small", "text_encoder", .8, "$t5_key[1]=512 $t5_words"},
    ModelRule{"t5-base", "text_encoder", .8, "$t5_key[1]=768 $t5_words"},
    ModelRule{"t5-large", "text_encoder", .8, "$t5_key[1]=1024 encoder.block.23.* $t5_words"},
    ModelRule{"t5-xxl", "text_encoder", .9, "enc.blk.23.ffn_up.weight[-1]=4096"},
    ModelRule{"t5-xl", "text_encoder", .9, "enc.blk.23.ffn_up.weight[-1]=2048"},
    ModelRule{"t5", "text_encoder", .8, "enc.blk.0.*"},

    // Language models, which serve as text encoders too. Those that see come first.
    ModelRule{"qwen2.5-vl-7b", "llm", .95, "visual.* layers.0.self_attn.k_proj.bias[0]=512"},
    ModelRule{"qwen2.5-vl-3b", "llm", .95, "visual.* layers.0.self_attn.k_proj.bias[0]=256"},
    ModelRule{"qwen3-vl", "llm", .9, "visual.* layers.0.self_attn.q_norm.weight"},
    ModelRule{"qwen2.5-0.5b", "llm", .85, "$qwen2 norm.weight[0]=896"},
    ModelRule{"qwen2.5-1.5b", "llm", .85, "$qwen2 norm.weight[0]=1536"},
    ModelRule{"qwen2.5-3b", "llm", .85, "$qwen2 norm.weight[0]=2048"},
    ModelRule{"qwen2.5-7b", "llm", .85, "$qwen2 norm.weight[0]=3584"},
    ModelRule{"qwen2.5-14b", "llm", .85, "$qwen2 norm.weight[0]=5120 !layers.48.*"},
    ModelRule{"qwen2.5-32b", "llm", .85, "$qwen2 norm.weight[0]=5120 layers.63.*"},
    ModelRule{"qwen2.5-72b", "llm", .85, "$qwen2 norm.weight[0]=8192"},
    ModelRule{"qwen3-0.6b", "llm", .9, "$qwen3 norm.weight[0]=1024"},
    ModelRule{"qwen3-2b", "llm", .9, "$qwen3 norm.weight[0]=2048"},
    ModelRule{"qwen3-4b", "llm", .9, "$qwen3 norm.weight[0]=2560"},
    ModelRule{"qwen3-8b", "llm", .9, "$qwen3 norm.weight[0]=4096"},
    ModelRule{"qwen3-14b", "llm", .9, "$qwen3 norm.weight[0]=5120 !layers.40.*"},
    ModelRule{"qwen3-32b", "llm", .9, "$qwen3 norm.weight[0]=5120 layers.63.*"},
    // Many have Llama's names. The words that they know tell some apart.
    ModelRule{"mistral", "llm", .55, "$llama norm.weight[0]=5120 !embed_tokens.weight[0]=32000"},
    ModelRule{"mistral", "llm", .6, "$llama embed_tokens.weight[0]=32768|131072"},
    ModelRule{"llama", "llm", .3, "$llama embed_tokens.weight[0]=128256|128258"},
    ModelRule{"gemma", "llm", .6,
              "$llama embed_tokens.weight[0]=256000 layers.0.input_layernorm.*"},
    ModelRule{"gemma2", "llm", .9,
              "layers.0.post_feedforward_layernorm.weight !layers.0.self_attn.q_norm.weight"},
    ModelRule{"gemma3", "llm", .9,
              "layers.0.post_feedforward_layernorm.weight layers.0.self_attn.q_norm.weight"},
    ModelRule{"llama", "llm", .5,
              "$llama embed_tokens.weight !embed_tokens.weight[0]=32768|131072|256000 "
              "!norm.weight[0]=5120"},
    ModelRule{"llama", "llm", .5, "$llama norm.weight[0]=5120 embed_tokens.weight[0]=32000"},
    // The names of Meta's and Mistral's own code, in consolidated files.
    ModelRule{"llama", "llm", .5, "$consolidated !tok_embeddings.weight[0]=32768|131072"},
    ModelRule{"mistral", "llm", .6, "$consolidated tok_embeddings.weight[0]=32768|131072"},
    ModelRule{"mixtral", "llm", .8,
              "tok_embeddings.weight layers.0.attention.wq.weight "
              "layers.0.{feed_forward,block_sparse_moe}.experts.0.w1.weight"},
    ModelRule{"", "llm", .7, "tok_embeddings.weight layers.0.attention.wq.weight"},
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
    ModelRule{"qwen-image-vae", "vae", .6,
              "decoder.middle.0.residual.0.gamma @name=*qwen* "
              "!decoder.upsamples.0.upsamples.0.*"},
    ModelRule{"wan2.2-vae", "vae", .95,
              "decoder.middle.0.residual.0.gamma decoder.upsamples.0.upsamples.0.*"},
    // Mochi's, whose encoder and decoder come in files of their own, too.
    ModelRule{"mochi-vae", "vae", .9, "{,decoder.}blocks.2.blocks.3.stack.5.weight[rank]=5"},
    ModelRule{"mochi-vae", "vae", .9, "{,encoder.}layers.4.layers.1.attn_block.attn.qkv.weight"},
    ModelRule{"", "vae", .7, "{encoder,decoder}.conv_in.* {encoder,decoder}.conv_out.*"},
    ModelRule{"taesd", "vae_approx", .95, "taesd_decoder.1.weight"},
};

}  // namespace

RuleTable EncoderRules() { return {kRules, {}, kShorthands}; }

}  // namespace warmset

// LoRAs and their like: how they name tensors, and what their layers tell of the
// model that they change.
#include <array>

#include "inspect/identify/rules.h"

namespace warmset {
namespace {

using Tells = LoraSuffix::Tells;

constexpr std::array kSuffixes = {
    LoraSuffix{".lora_down.weight", "kohya", Tells::kIn},
    LoraSuffix{".lora_up.weight", "kohya", Tells::kOut},
    LoraSuffix{".lora_mid.weight", "kohya", Tells::kNothing},
    LoraSuffix{"_lora.down.weight", "diffusers", Tells::kIn},
    LoraSuffix{"_lora.up.weight", "diffusers", Tells::kOut},
    LoraSuffix{".lora.down.weight", "diffusers", Tells::kIn},
    LoraSuffix{".lora.up.weight", "diffusers", Tells::kOut},
    LoraSuffix{".lora_linear_layer.down.weight", "transformers", Tells::kIn},
    LoraSuffix{".lora_linear_layer.up.weight", "transformers", Tells::kOut},
    LoraSuffix{".lora_A.weight", "PEFT", Tells::kIn},
    LoraSuffix{".lora_B.weight", "PEFT", Tells::kOut},
    LoraSuffix{".lora_A.*.weight", "PEFT", Tells::kIn},
    LoraSuffix{".lora_B.*.weight", "PEFT", Tells::kOut},
    LoraSuffix{".lora_B.bias", "PEFT", Tells::kNothing},
    LoraSuffix{".lora_A", "PEFT", Tells::kIn},
    LoraSuffix{".lora_B", "PEFT", Tells::kOut},
    LoraSuffix{".lora_embedding_{A,B}", "PEFT", Tells::kNothing},
    LoraSuffix{".weight.lora_{a,b}", "GGUF", Tells::kNothing},
    LoraSuffix{".hada_w1_a", "LoHa", Tells::kOut},
    LoraSuffix{".hada_w1_b", "LoHa", Tells::kIn},
    LoraSuffix{".hada_w2_a", "LoHa", Tells::kOut},
    LoraSuffix{".hada_w2_b", "LoHa", Tells::kIn},
    LoraSuffix{".hada_t{1,2}", "LoHa", Tells::kNothing},
    LoraSuffix{".lokr_w{1,2}{,_a,_b}", "LoKr", Tells::kNothing},
    LoraSuffix{".lokr_t2", "LoKr", Tells::kNothing},
    LoraSuffix{".oft_blocks", "OFT", Tells::kNothing},
    LoraSuffix{".dora_scale", "DoRA", Tells::kNothing},
    LoraSuffix{".lora_magnitude_vector{,.weight,.*.weight}", "DoRA", Tells::kNothing},
    LoraSuffix{".{a1,a2,b1,b2}.weight", "GLoRA", Tells::kNothing, true},
    LoraSuffix{".diff", "full difference", Tells::kBoth, true},
    LoraSuffix{".{diff_b,alpha,w_norm,b_norm,reshape_weight}", "", Tells::kNothing, true},
};

// Layers of UNets are named as in diffusers (down_blocks_0_attentions_0_...) or as
// in the original code (input_blocks_1_1_...).
constexpr std::array kShorthands = {
    Shorthand{"unet", "*{attentions~#,blocks~#~1,block~1}~transformer_blocks"},
    Shorthand{"not_hunyuan", "!txt_in~individual_token_refiner~*"},
    Shorthand{"wan_layer", "blocks~#~{self_attn,cross_attn,attn1,attn2}~{q,k,to_q,to_k}"},
};

constexpr std::array kRules = {
    ModelRule{"sd1", "lora", .95, "$unet~#~attn2{,~processor}~to_k[1]=768"},
    ModelRule{"sd2", "lora", .95, "$unet~#~attn2{,~processor}~to_k[1]=1024"},
    ModelRule{"sdxl", "lora", .95, "$unet~#~attn2{,~processor}~to_k[1]=2048"},
    // Only SDXL has more than one block at a place.
    ModelRule{"sdxl", "lora", .8, "$unet~{2,9}~*"},
    ModelRule{"sd1", "lora", .5,
              "$unet~0~* !*~transformer_blocks~{1,2,9}~* "
              "!*attn2{,~processor}~to_k[1]=1024|2048"},
    ModelRule{"sdxl", "lora", .7, "{lora_te2_,text_encoder_2.}*"},
    ModelRule{"sd1", "lora", .5,
              "{lora_te_,text_encoder.}*layers~#~{self_attn~q_proj,mlp~fc1}[1]=768 "
              "!{lora_te2_,text_encoder_2.}*"},
    ModelRule{"sd2", "lora", .5,
              "{lora_te_,text_encoder.}*layers~#~{self_attn~q_proj,mlp~fc1}[1]=1024"},
    ModelRule{"sd1", "lora", .6, "@ss_base_model_version=sd_v1*"},
    ModelRule{"sd2", "lora", .6, "@ss_base_model_version=sd_v2*"},
    ModelRule{"sdxl", "lora", .6, "@ss_base_model_version=sdxl*"},
    ModelRule{"flux.1", "lora", .6, "@ss_base_model_version=flux1*"},

    // Flux. 3072 fits two models; how much wider the MLP is tells them apart.
    ModelRule{"flux.1", "lora", .5,
              "double_blocks~#~img_attn~proj[0]=3072 $not_hunyuan "
              "!double_blocks~#~img_mlp~0[0]=18432"},
    ModelRule{"flux.2-klein-4b", "lora", .45,
              "double_blocks~#~img_attn~proj[0]=3072 $not_hunyuan "
              "!double_blocks~#~img_mlp~0[0]=12288"},
    ModelRule{"flux.1", "lora", .9, "double_blocks~#~img_mlp~0[0]=12288 $not_hunyuan"},
    ModelRule{"flux.2-klein-4b", "lora", .9, "double_blocks~#~img_mlp~0[0]=18432"},
    ModelRule{"flux.1", "lora", .9, "single_blocks~#~linear1[0]=21504 $not_hunyuan"},
    ModelRule{"flux.2-klein-4b", "lora", .9, "single_blocks~#~linear1[0]=27648"},
    ModelRule{"flux.2-klein-9b", "lora", .95, "double_blocks~#~img_attn~proj[0]=4096"},
    ModelRule{"flux.2-dev", "lora", .95, "double_blocks~#~img_attn~proj[0]=6144"},
    ModelRule{"flux.1", "lora", .9, "single_transformer_blocks~#~proj_mlp[0]=12288"},
    ModelRule{"flux.1", "lora", .7,
              "single_transformer_blocks~#~attn~to_{q,k,v}[0]=3072 "
              "!single_transformer_blocks~#~attn~to_qkv_mlp_proj"},
    ModelRule{"flux.2", "lora", .8, "single_transformer_blocks~#~attn~to_qkv_mlp_proj"},
    ModelRule{"flux.1", "lora", .3,
              "{double_blocks,single_blocks}~#~* $not_hunyuan "
              "!double_blocks~#~img_attn~proj[0]=3072|4096|6144"},
    ModelRule{"flux.1", "lora", .9, "img_in[1]=128"},
    ModelRule{"hunyuan-video", "lora", .9, "txt_in~individual_token_refiner~*"},

    ModelRule{"sd3", "lora", .9, "joint_blocks~#~x_block~attn~{qkv,proj}"},
    ModelRule{"sd3", "lora", .9,
              "transformer_blocks~#~attn~{add_q_proj,add_k_proj,to_q,to_k}[0]=1536|2432 "
              "!single_transformer_blocks~*"},
    ModelRule{"qwen-image", "lora", .85,
              "transformer_blocks~#~attn~{add_q_proj,add_k_proj,to_q,to_k}[0]=3072 "
              "!single_transformer_blocks~*"},
    ModelRule{"lumina2", "lora", .9, "layers~#~attention~{qkv,to_q,to_k,out,to_out~0}[1]=2304"},
    ModelRule{"z-image", "lora", .9, "layers~#~attention~{qkv,to_q,to_k,out,to_out~0}[1]=3840"},
    ModelRule{"pixart-sigma", "lora", .5, "transformer_blocks~#~attn2~to_k[1]=1152"},
    ModelRule{"pixart-alpha", "lora", .5, "transformer_blocks~#~attn2~to_k[1]=1152"},
    ModelRule{"ltx-video", "lora", .8, "transformer_blocks~#~attn2~to_k[1]=2048"},

    // Wan: 2.1 and 2.2 share the width; only 2.1 reads an image by its own keys.
    ModelRule{"wan2.1-14b", "lora", .5, "$wan_layer[1]=5120"},
    ModelRule{"wan2.2-14b", "lora", .45, "$wan_layer[1]=5120 !blocks~#~cross_attn~k_img"},
    ModelRule{"wan2.1-14b", "lora", .8, "blocks~#~cross_attn~k_img"},
    ModelRule{"wan2.1-1.3b", "lora", .9, "$wan_layer[1]=1536"},
    ModelRule{"wan2.2-5b", "lora", .9, "$wan_layer[1]=3072"},
    ModelRule{"", "lora", .3, "*"},
};

constexpr std::array kVariants = {
    VariantRule{"flux.1", "lora", "-control", "img_in[1]=128"},
    VariantRule{"wan2.1-14b", "lora", "-i2v", "blocks~#~cross_attn~k_img"},
};

}  // namespace

RuleTable LoraRules() { return {kRules, kVariants, kShorthands}; }
std::span<const LoraSuffix> LoraSuffixes() { return kSuffixes; }

}  // namespace warmset

// LoRAs and their like: how they name tensors, and what their layers tell of the
// model that they change.
#include <array>

#include "inspect/identify/rules.h"

namespace warmset {
namespace {

using Prefix = LoraSuffix::Prefix;
using Tells = LoraSuffix::Tells;

constexpr std::array kSuffixes = {
    LoraSuffix{".lora_down.weight", "kohya", Tells::kIn},
    LoraSuffix{".lora_up.weight", "kohya", Tells::kOut},
    LoraSuffix{".lora_mid.weight", "kohya", Tells::kNothing},
    LoraSuffix{"_lora.down.weight", "diffusers", Tells::kIn},
    LoraSuffix{"_lora.up.weight", "diffusers", Tells::kOut},
    LoraSuffix{".lora.down.weight", "diffusers", Tells::kIn},
    LoraSuffix{".lora.up.weight", "diffusers", Tells::kOut},
    LoraSuffix{"_lora{1,2}.down.weight", "XLabs", Tells::kIn},
    LoraSuffix{"_lora{1,2}.up.weight", "XLabs", Tells::kOut},
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
    LoraSuffix{".{a1,a2,b1,b2}.weight", "GLoRA", Tells::kNothing, Prefix::kAny},
    LoraSuffix{".diff", "full difference", Tells::kBoth, Prefix::kAny},
    LoraSuffix{".{w_norm,b_norm}", "LyCORIS norm", Tells::kNothing, Prefix::kAny},
    LoraSuffix{".on_input", "(IA)^3", Tells::kNothing, Prefix::kAny},
    LoraSuffix{".weight", "(IA)^3", Tells::kNothing, Prefix::kTrainers},
#include "inspect/identify/peft_suffixes.inc"
    LoraSuffix{".{diff_b,alpha,reshape_weight}", "", Tells::kNothing, Prefix::kAny},
};

// Layers of UNets are named as in diffusers (down_blocks_0_attentions_0_...) or as
// in the original code (input_blocks_1_1_...).
constexpr std::array kShorthands = {
    Shorthand{"unet", "*{attentions~#,blocks~#~1,block~1}~transformer_blocks"},
    // kohya names SDXL's layers as the original code does, and SD 1's as diffusers does. In
    // the original code SD 1 has attention where SDXL has none.
    Shorthand{"ldm_sd1",
              "{input_blocks~1,input_blocks~2,output_blocks~6,output_blocks~7,output_blocks~8,"
              "output_blocks~9,output_blocks~10,output_blocks~11}~1~{transformer_blocks,proj_in}*"},
    Shorthand{"ldm_sdxl",
              "{input_blocks~#,output_blocks~#,middle_block}~1~{transformer_blocks,proj_in}*"},
    Shorthand{"clip_1",
              "{lora_te_,text_encoder.}text_model~encoder~layers~#~{self_attn~q_proj,mlp~fc1}"},
    // HunyuanVideo's blocks are named almost as FLUX.1's, and there is one pair more.
    Shorthand{"not_hunyuan",
              "!txt_in~individual_token_refiner~* !double_blocks.#.{img,txt}_attn_{qkv,proj} "
              "!double_blocks~#~{img,txt}_mlp~fc1 !double_blocks~#~{img,txt}_mod~linear "
              "!single_blocks~#~modulation~linear !double_blocks~19~*"},
    Shorthand{"not_hub_hunyuan", "!transformer_blocks~19~* !single_transformer_blocks~38~*"},
    // Chroma is FLUX.1 whose modulation comes out of one network for all blocks.
    Shorthand{"not_chroma",
              "!distilled_guidance_layer~* !@ss_base_model_version=chroma* "
              "!@modelspec.architecture=chroma* !@name=*chroma*"},
    Shorthand{"no_joint", "!joint_transformer_blocks~*"},
    Shorthand{"wan_layer", "blocks~#~{self_attn,cross_attn,attn1,attn2}~{q,k,to_q,to_k}"},
    Shorthand{"anima_layer", "blocks~#~{self_attn,cross_attn}~{q_proj,k_proj,v_proj,output_proj}"},
};

constexpr std::array kRules = {
    ModelRule{"sd1", "lora", .95, "$unet~#~attn2{,~processor}~to_k[1]=768"},
    ModelRule{"sd2", "lora", .95,
              "$unet~#~attn2{,~processor}~to_k[1]=1024 !*temporal_transformer_blocks~*"},
    ModelRule{"svd", "lora", .9, "*attentions~#~temporal_transformer_blocks~#~*"},
    ModelRule{"sdxl", "lora", .95, "$unet~#~attn2{,~processor}~to_k[1]=2048 !@name=*kolors*"},
    ModelRule{"kolors", "lora", .6, "$unet~#~attn2{,~processor}~to_k[1]=2048 @name=*kolors*"},
    // Only SDXL has more than one block at a place.
    ModelRule{"sdxl", "lora", .8, "$unet~{2,9}~* !@name=*kolors*"},
    ModelRule{"kolors", "lora", .6, "$unet~{2,9}~* @name=*kolors*"},
    ModelRule{"sdxl", "lora", .7,
              "$ldm_sdxl !$ldm_sd1 !*attn2{,~processor}~to_k[1]=768|1024 !@name=*kolors*"},
    ModelRule{"sd1", "lora", .5,
              "$unet~0~* !$ldm_sdxl !*~transformer_blocks~{1,2,9}~* "
              "!*attn2{,~processor}~to_k[1]=1024|2048"},
    ModelRule{"sd1", "lora", .5,
              "$ldm_sd1 !*~transformer_blocks~{1,2,9}~* !*attn2{,~processor}~to_k[1]=1024|2048"},
    ModelRule{"sdxl", "lora", .7, "{lora_te2_,text_encoder_2.}text_model~*"},
    ModelRule{"sd1", "lora", .5, "$clip_1[1]=768 !{lora_te2_,text_encoder_2.}*"},
    ModelRule{"sd2", "lora", .5, "$clip_1[1]=1024"},
    ModelRule{"stable-cascade", "lora", .9,
              "{down_blocks,up_blocks}~#~#~attention~attn~{out_proj,in_proj}*"},
    ModelRule{"animatediff", "lora", .8, "*motion_modules~#~temporal_transformer~*"},
    // What trainers write down: kohya's own words, and those of the ModelSpec.
    ModelRule{"sd1", "lora", .6, "@ss_base_model_version=sd_v1*"},
    ModelRule{"sd2", "lora", .6, "@ss_base_model_version=sd_v2*"},
    ModelRule{"sdxl", "lora", .6, "@ss_base_model_version=sdxl*"},
    ModelRule{"flux.1", "lora", .6, "@ss_base_model_version=flux1*"},
    ModelRule{"chroma", "lora", .6, "@ss_base_model_version=chroma*"},
    ModelRule{"sd1", "lora", .6, "@modelspec.architecture=stable-diffusion-v1*"},
    ModelRule{"sd2", "lora", .6, "@modelspec.architecture=stable-diffusion-v2*"},
    ModelRule{"sdxl", "lora", .6, "@modelspec.architecture=stable-diffusion-xl*"},
    ModelRule{"sd3", "lora", .6, "@modelspec.architecture=stable-diffusion-3*"},
    ModelRule{"flux.1", "lora", .6, "@modelspec.architecture=flux-1*"},
    ModelRule{"chroma", "lora", .6, "@modelspec.architecture=chroma*"},
    ModelRule{"lumina2", "lora", .6, "@modelspec.architecture=lumina-2*"},
    ModelRule{"hunyuan-video", "lora", .6, "@modelspec.architecture=hunyuan-video*"},
    ModelRule{"qwen-image", "lora", .6, "@modelspec.architecture=qwen-image*"},
    ModelRule{"anima", "lora", .6, "@modelspec.architecture=anima*"},

    // Flux. 3072 fits two models; how much wider the MLP is tells them apart. Without a
    // layer of a block's modulation it may also be Chroma's.
    ModelRule{"flux.1", "lora", .5,
              "double_blocks~#~img_attn~proj[0]=3072 $not_hunyuan $not_chroma "
              "!double_blocks~#~img_mlp~0[0]=18432"},
    ModelRule{"flux.2-klein-4b", "lora", .45,
              "double_blocks~#~img_attn~proj[0]=3072 $not_hunyuan $not_chroma "
              "!double_blocks~#~img_mlp~0[0]=12288"},
    ModelRule{"flux.1", "lora", .6, "double_blocks~#~img_mlp~0[0]=12288 $not_hunyuan $not_chroma"},
    ModelRule{"flux.2-klein-4b", "lora", .9, "double_blocks~#~img_mlp~0[0]=18432"},
    ModelRule{"flux.1", "lora", .3, "single_blocks~#~linear1[0]=21504 $not_hunyuan $not_chroma"},
    ModelRule{"flux.1", "lora", .8, "double_blocks~#~{img,txt}_mod~lin[0]=18432 $not_chroma"},
    ModelRule{"flux.1", "lora", .8, "single_blocks~#~modulation~lin[0]=9216 $not_chroma"},
    ModelRule{"flux.1", "lora", .9, "{double_blocks,single_blocks}~#~processor~{qkv,proj}[1]=3072"},
    ModelRule{"flux.2-klein-4b", "lora", .9, "single_blocks~#~linear1[0]=27648"},
    ModelRule{"flux.2-klein-9b", "lora", .95, "double_blocks~#~img_attn~proj[0]=4096"},
    ModelRule{"flux.2-dev", "lora", .95, "double_blocks~#~img_attn~proj[0]=6144"},
    ModelRule{"flux.1", "lora", .5,
              "single_transformer_blocks~#~proj_mlp[0]=12288 $not_hub_hunyuan $not_chroma "
              "$no_joint"},
    ModelRule{"flux.1", "lora", .8,
              "single_transformer_blocks~#~norm~linear[0]=9216 $not_hub_hunyuan $not_chroma"},
    ModelRule{"flux.1", "lora", .5,
              "single_transformer_blocks~#~attn~to_{q,k,v}[0]=3072 $not_hub_hunyuan $not_chroma "
              "$no_joint !single_transformer_blocks~#~attn~to_qkv_mlp_proj"},
    ModelRule{"flux.2", "lora", .8, "single_transformer_blocks~#~attn~to_qkv_mlp_proj"},
    ModelRule{"flux.1", "lora", .3,
              "{double_blocks,single_blocks}~#~* $not_hunyuan $not_chroma "
              "!double_blocks~#~img_attn~proj[0]=2048|3072|4096|6144"},
    ModelRule{"flux.1", "lora", .9, "img_in[1]=128"},
    ModelRule{"flux.1", "lora", .5, "lora_te2_encoder~block~#~* lora_te1_text_model~* !lora_te3_*"},
    ModelRule{"chroma", "lora", .95, "distilled_guidance_layer~*"},
    ModelRule{"chroma", "lora", .5, "double_blocks~#~img_attn~qkv[0]=9216 @name=*chroma*"},

    ModelRule{"hunyuan-video", "lora", .9, "txt_in~individual_token_refiner~*"},
    ModelRule{"hunyuan-video", "lora", .8, "double_blocks.#.{img,txt}_attn_{qkv,proj}[1]=3072"},
    ModelRule{"hunyuan-video", "lora", .8, "double_blocks~#~{img,txt}_mlp~fc1[1]=3072"},
    ModelRule{"hunyuan-video", "lora", .8, "double_blocks~#~{img,txt}_mod~linear[1]=3072"},
    ModelRule{"hunyuan-video", "lora", .8, "single_blocks~#~modulation~linear[1]=3072"},
    ModelRule{"hunyuan-video", "lora", .7, "double_blocks~19~*[1]=3072 !double_blocks~20~*"},
    ModelRule{"hunyuan-video", "lora", .7,
              "transformer_blocks~19~*[1]=3072 single_transformer_blocks~#~*"},
    ModelRule{"hunyuan-video", "lora", .7, "single_transformer_blocks~38~*[1]=3072"},
    ModelRule{"hunyuan-video-1.5", "lora", .8,
              "double_blocks~#~{img,txt}_attn{.,_}{q,k,v,qkv,proj}[1]=2048"},

    ModelRule{"sd3", "lora", .9, "joint_blocks~#~x_block~attn~{qkv,proj}"},
    ModelRule{"sd3", "lora", .9,
              "transformer_blocks~#~attn~{add_q_proj,add_k_proj,to_q,to_k}[0]=1536|2432 "
              "!single_transformer_blocks~* !transformer_blocks~#~attn~to_gate"},
    ModelRule{"qwen-image", "lora", .55,
              "transformer_blocks~#~attn~{add_q_proj,add_k_proj,to_q,to_k}[0]=3072 "
              "!single_transformer_blocks~* $no_joint"},
    ModelRule{"qwen-image", "lora", .8,
              "transformer_blocks~{40,59}~attn~{add_q_proj,add_k_proj,to_q,to_k}[0]=3072"},
    ModelRule{"qwen-image", "lora", .9, "transformer_blocks~#~{img_mlp,txt_mlp}~*"},
    ModelRule{"lumina2", "lora", .9,
              "layers~#~{attention,attn}~{qkv,to_q,to_k,out,to_out~0}[1]=2304"},
    ModelRule{"z-image", "lora", .9,
              "layers~#~{attention,attn}~{qkv,to_q,to_k,out,to_out~0}[1]=3840"},
    ModelRule{"pixart-sigma", "lora", .5, "transformer_blocks~#~attn2~to_k[1]=1152"},
    ModelRule{"pixart-alpha", "lora", .5, "transformer_blocks~#~attn2~to_k[1]=1152"},
    ModelRule{"ltx-video", "lora", .75,
              "transformer_blocks~#~attn2~to_k[1]=2048 !transformer_blocks~#~audio_attn1~*"},
    ModelRule{"ltx-2", "lora", .95,
              "transformer_blocks~#~{audio_attn1,audio_to_video_attn,video_to_audio_attn}~*"},
    ModelRule{"ltx-2", "lora", .6, "transformer_blocks~#~attn2~to_k[1]=4096"},
    ModelRule{"auraflow", "lora", .95, "joint_transformer_blocks~#~*"},
    ModelRule{"mochi", "lora", .9, "transformer_blocks~#~attn1~add_{q,k,v}_proj[1]=1536"},
    ModelRule{"mochi", "lora", .9, "blocks~#~attn~qkv_{x,y}"},
    ModelRule{"hidream-i1", "lora", .95, "{double,single}_stream_blocks~#~block~*"},
    ModelRule{"sana", "lora", .75, "transformer_blocks~#~attn1~to_{q,k,v}[1]=2240"},
    ModelRule{"sana", "lora", .9, "transformer_blocks~#~ff~conv_{inverted,point}"},
    ModelRule{"cogvideox", "lora", .6,
              "transformer_blocks~#~attn1~to_{q,k,v}[1]=1920 !transformer_blocks~#~attn2~*"},
    ModelRule{"krea2", "lora", .95, "text_fusion~*"},
    ModelRule{"krea2", "lora", .9, "blocks~#~attn~{wq,wk,wv,wo,gate}[1]=6144"},
    ModelRule{"krea2", "lora", .7, "transformer_blocks~#~attn~to_gate[1]=6144"},

    // Cosmos-Predict2, and Anima, which was made of its small model.
    ModelRule{"anima", "lora", .58, "$anima_layer !$anima_layer[1]=5120"},
    ModelRule{"cosmos-predict2", "lora", .5, "$anima_layer"},
    ModelRule{"anima", "lora", .8, "$anima_layer lora_te_layers~#~*"},
    ModelRule{"anima", "lora", .9, "llm_adapter~*"},

    // Wan: 2.1 and 2.2 share the width; only 2.1 reads an image by its own keys.
    ModelRule{"wan2.1-14b", "lora", .5, "$wan_layer[1]=5120"},
    ModelRule{"wan2.2-14b", "lora", .45, "$wan_layer[1]=5120 !blocks~#~cross_attn~k_img"},
    ModelRule{"wan2.1-14b", "lora", .8, "blocks~#~cross_attn~k_img"},
    ModelRule{"wan2.1-1.3b", "lora", .9, "$wan_layer[1]=1536"},
    ModelRule{"wan2.2-5b", "lora", .9, "$wan_layer[1]=3072"},
    // Sizes that Llama 3's models have, and Mistral's after them.
    ModelRule{"llama", "lora", .35,
              "layers~#~self_attn~q_proj[1]=4096|8192 layers~#~self_attn~{k,v}_proj[0]=1024"},
    ModelRule{"mistral", "lora", .25,
              "layers~#~self_attn~q_proj[1]=4096 layers~#~self_attn~{k,v}_proj[0]=1024"},
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

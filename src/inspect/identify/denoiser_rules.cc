// Diffusion models: UNets and transformers.
#include <array>

#include "inspect/identify/rules.h"

namespace warmset {
namespace {

// What several rules ask for; written "$ldm_unet" in them.
constexpr std::array kShorthands = {
    Shorthand{"ldm_unet", "input_blocks.0.0.weight !input_hint_block.0.weight !lora_controlnet"},
    Shorthand{"hub_unet",
              "conv_in.weight conv_out.weight !controlnet_cond_embedding.conv_in.weight"},
    // Other families have Flux's blocks, too.
    Shorthand{"flux",
              "double_blocks.0.img_attn.norm.key_norm.{scale,weight} "
              "double_blocks.0.img_attn.{qkv,proj}.weight !distilled_guidance_layer.* "
              "!double_stream_modulation_img.lin.weight !controlnet_blocks.0.weight "
              "!txt_in.weight[1]=2048"},
    Shorthand{"hub_flux",
              "transformer_blocks.0.attn.add_k_proj.weight single_transformer_blocks.0.* "
              "!distilled_guidance_layer.* !double_stream_modulation_img.linear.weight "
              "!controlnet_blocks.0.weight"},
    Shorthand{"sd3", "joint_blocks.0.context_block.attn.qkv.weight"},
    Shorthand{"hub_sd3",
              "transformer_blocks.0.attn.add_q_proj.weight pos_embed.proj.* "
              "!single_transformer_blocks.0.* !controlnet_blocks.0.weight"},
    // A LoRA may bring a patch_embedding along, so a block of the model itself is asked for.
    Shorthand{"wan_main",
              "blocks.0.*.weight[rank]=2 "
              "{head.modulation,text_embedding.0.weight,condition_embedder.text_embedder.*}"},
    Shorthand{"wan_14b", "patch_embedding.weight[0]=5120"},
    Shorthand{"qwen_image",
              "txt_norm.weight txt_in.weight img_in.weight transformer_blocks.0.* "
              "!double_blocks.0.* !single_transformer_blocks.0.* !controlnet_blocks.0.weight"},
    Shorthand{"wan_image", "{img_emb,condition_embedder.image_embedder}.*"},
};

constexpr std::string_view kAnyWan =
    "wan2.1-1.3b|wan2.1-t2v-14b|wan2.1-i2v-14b|wan2.2-t2v-14b|wan2.2-i2v-14b|wan2.2-ti2v-5b";

constexpr std::array kRules = {
    // UNets, in the names of the original code and in those of diffusers.
    ModelRule{"sd1", "unet", .95,
              "$ldm_unet input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight[-1]=768"},
    ModelRule{"sd2", "unet", .95,
              "$ldm_unet input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight[-1]=1024"},
    ModelRule{"sdxl", "unet", .9,
              "$ldm_unet input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight[-1]=2048 "
              "!input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"},
    ModelRule{"sdxl", "unet", .8,
              "$ldm_unet label_emb.0.0.weight[1]=2816 input_blocks.0.0.weight[0]=320"},
    ModelRule{"sdxl-refiner", "unet", .9,
              "$ldm_unet input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight[-1]=1280 "
              "!input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"},
    ModelRule{"sdxl-refiner", "unet", .8,
              "$ldm_unet label_emb.0.0.weight[1]=2560 input_blocks.0.0.weight[0]=384"},
    ModelRule{
        "sd1", "unet", .95,
        "$hub_unet down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight[-1]=768"},
    ModelRule{
        "sd2", "unet", .95,
        "$hub_unet down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight[-1]=1024"},
    ModelRule{
        "sdxl", "unet", .95,
        "$hub_unet down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight[-1]=2048 "
        "!encoder_hid_proj.weight "
        "!down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"},
    // SDXL's blocks with another text encoder.
    ModelRule{"kolors", "unet", .95,
              "$hub_unet encoder_hid_proj.weight[1]=4096 add_embedding.linear_1.weight[1]=5632"},
    ModelRule{
        "sdxl-refiner", "unet", .95,
        "$hub_unet down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight[-1]=1280 "
        "add_embedding.linear_1.weight[1]=2560"},
    ModelRule{"", "unet", .6, "$ldm_unet output_blocks.0.*"},
    ModelRule{"", "unet", .6, "$hub_unet down_blocks.0.resnets.0.* up_blocks.0.resnets.0.*"},

    // SD3: the depth is x_embedder.proj.weight[0] / 64; medium and 3.5 medium have 24.
    ModelRule{"sd3.5-large", "transformer", .95, "$sd3 joint_blocks.37.*"},
    ModelRule{"sd3-medium", "transformer", .95,
              "$sd3 pos_embed[1]=36864 !joint_blocks.37.* !joint_blocks.0.x_block.attn2.*"},
    ModelRule{"sd3.5-medium", "transformer", .85, "$sd3 pos_embed[1]=147456 !joint_blocks.37.*"},
    ModelRule{"sd3.5-medium", "transformer", .8,
              "$sd3 pos_embed[1]=147456 "
              "joint_blocks.0.context_block.adaLN_modulation.1.bias[-1]=9216"},
    ModelRule{"sd3", "transformer", .7, "$sd3"},
    ModelRule{"sd3.5-large", "transformer", .95, "$hub_sd3 transformer_blocks.37.*"},
    ModelRule{"sd3.5-medium", "transformer", .95,
              "$hub_sd3 transformer_blocks.0.attn2.to_q.weight"},
    ModelRule{"sd3-medium", "transformer", .9,
              "$hub_sd3 !transformer_blocks.37.* "
              "!transformer_blocks.0.attn2.to_q.weight"},

    // Flux. What comes in tells its use; 128 fits Depth and Canny alike.
    ModelRule{"flux.1-dev", "transformer", .95, "$flux img_in.weight[1]=64 guidance_in.*"},
    ModelRule{"flux.1-schnell", "transformer", .9, "$flux img_in.weight[1]=64 !guidance_in.*"},
    ModelRule{"flux.1-fill", "transformer", .95, "$flux img_in.weight[1]=384"},
    ModelRule{"flux.1-depth", "transformer", .5, "$flux img_in.weight[1]=128"},
    ModelRule{"flux.1-canny", "transformer", .5, "$flux img_in.weight[1]=128"},
    ModelRule{"flux.1", "transformer", .7, "$flux img_in.weight"},
    // Nunchaku joins what diffusers has apart.
    ModelRule{"flux.1-dev", "transformer", .85,
              "single_transformer_blocks.0.{qkv_proj,attn.to_qkv,mlp_fc1}.qweight "
              "x_embedder.weight[1]=64 time_text_embed.guidance_embedder.*"},
    ModelRule{"flux.1-schnell", "transformer", .85,
              "single_transformer_blocks.0.{qkv_proj,attn.to_qkv,mlp_fc1}.qweight "
              "x_embedder.weight[1]=64 time_text_embed.* !time_text_embed.guidance_embedder.*"},
    ModelRule{"flux.1-dev", "transformer", .95,
              "$hub_flux x_embedder.weight[1]=64 time_text_embed.guidance_embedder.*"},
    ModelRule{"flux.1-schnell", "transformer", .9,
              "$hub_flux x_embedder.weight[1]=64 !time_text_embed.guidance_embedder.*"},
    ModelRule{"flux.1-fill", "transformer", .95, "$hub_flux x_embedder.weight[1]=384"},
    ModelRule{"flux.1-depth", "transformer", .5, "$hub_flux x_embedder.weight[1]=128"},
    ModelRule{"flux.1-canny", "transformer", .5, "$hub_flux x_embedder.weight[1]=128"},
    ModelRule{
        "flux.1", "transformer", .8,
        "@general.architecture=flux !double_stream_modulation_img.* !distilled_guidance_layer.*"},
    ModelRule{"flux.2-klein-4b", "transformer", .95,
              "double_stream_modulation_img.lin.weight txt_in.weight[1]=7680"},
    ModelRule{"flux.2-klein-9b", "transformer", .95,
              "double_stream_modulation_img.lin.weight txt_in.weight[1]=12288"},
    ModelRule{"flux.2-dev", "transformer", .95,
              "double_stream_modulation_img.lin.weight txt_in.weight[1]=15360"},
    ModelRule{"flux.2-klein-4b", "transformer", .95,
              "double_stream_modulation_img.linear.weight context_embedder.weight[1]=7680"},
    ModelRule{"flux.2-klein-9b", "transformer", .95,
              "double_stream_modulation_img.linear.weight context_embedder.weight[1]=12288"},
    ModelRule{"flux.2-dev", "transformer", .95,
              "double_stream_modulation_img.linear.weight context_embedder.weight[1]=15360"},
    ModelRule{"flux.2", "transformer", .7, "double_stream_modulation_img.{lin,linear}.weight"},
    ModelRule{"chroma", "transformer", .95,
              "distilled_guidance_layer.* {double_blocks,transformer_blocks}.0.* !nerf_blocks.*"},
    ModelRule{"chroma-radiance", "transformer", .95, "distilled_guidance_layer.* nerf_blocks.*",
              "text_encoder"},
    ModelRule{"ovis-image", "transformer", .9,
              "double_blocks.0.img_attn.proj.weight txt_norm.weight txt_in.weight[1]=2048"},

    ModelRule{"pixart-alpha", "transformer", .95, "t_block.1.weight ar_embedder.mlp.0.weight"},
    ModelRule{"pixart-sigma", "transformer", .9, "t_block.1.weight !ar_embedder.mlp.0.weight"},
    ModelRule{"pixart-alpha", "transformer", .9,
              "adaln_single.emb.timestep_embedder.linear_1.bias pos_embed.proj.bias "
              "adaln_single.emb.{aspect_ratio,resolution}_embedder.*"},
    ModelRule{"pixart-sigma", "transformer", .8,
              "adaln_single.emb.timestep_embedder.linear_1.bias pos_embed.proj.bias "
              "!adaln_single.emb.{aspect_ratio,resolution}_embedder.*"},
    ModelRule{"ltx-video", "transformer", .9,
              "adaln_single.emb.timestep_embedder.linear_1.bias !pos_embed.proj.bias "
              "patchify_proj.weight !audio_patchify_proj.weight"},
    ModelRule{"ltx-2", "transformer", .95,
              "adaln_single.emb.timestep_embedder.linear_1.bias patchify_proj.weight "
              "audio_patchify_proj.weight"},

    ModelRule{"lumina2", "transformer", .95, "cap_embedder.1.weight[0]=2304 noise_refiner.*"},
    ModelRule{"z-image", "transformer", .95, "cap_embedder.1.weight[0]=3840 noise_refiner.*"},
    ModelRule{"lumina2", "transformer", .9,
              "time_caption_embed.caption_embedder.1.weight[0]=2304 noise_refiner.*"},
    ModelRule{"qwen-image", "transformer", .9, "$qwen_image"},

    // Wan. The 14B model of 2.1 and each expert of 2.2 have the same tensors.
    ModelRule{"wan2.1-1.3b", "transformer", .95, "$wan_main patch_embedding.weight[0]=1536"},
    ModelRule{"wan2.1-t2v-14b", "transformer", .6,
              "$wan_main $wan_14b patch_embedding.weight[1]=16"},
    ModelRule{"wan2.2-t2v-14b", "transformer", .5,
              "$wan_main $wan_14b patch_embedding.weight[1]=16 "
              "!vace_blocks.*"},
    ModelRule{"wan2.1-i2v-14b", "transformer", .95,
              "$wan_main $wan_14b patch_embedding.weight[1]=36 "
              "$wan_image"},
    ModelRule{"wan2.2-i2v-14b", "transformer", .9,
              "$wan_main $wan_14b patch_embedding.weight[1]=36 "
              "!{img_emb,condition_embedder.image_embedder}.*"},
    ModelRule{"wan2.2-ti2v-5b", "transformer", .95,
              "$wan_main patch_embedding.weight[0]=3072 patch_embedding.weight[1]=48"},
    ModelRule{"wan2.2-t2v-14b", "transformer", .3,
              "$wan_main $wan_14b patch_embedding.weight[1]=16 "
              "@name=*noise*"},
    ModelRule{"wan", "transformer", .7,
              "blocks.0.*.weight[rank]=2 {head.modulation,text_embedding.0.weight}"},
    ModelRule{"hunyuan-video", "transformer", .95, "txt_in.individual_token_refiner.*"},
    ModelRule{"hunyuan-video", "transformer", .9, "context_embedder.token_refiner.*"},

    // Known by their keys in ComfyUI's model detection.
    ModelRule{"cosmos-predict1", "transformer", .9, "blocks.block0.* x_embedder.proj.1.weight"},
    ModelRule{"cosmos-predict2", "transformer", .85,
              "blocks.0.mlp.layer1.weight x_embedder.proj.1.weight"},
    ModelRule{"auraflow", "transformer", .9, "double_layers.0.attn.w1q.weight"},
    ModelRule{"hidream-i1", "transformer", .9, "caption_projection.0.linear.weight"},
    ModelRule{"mochi", "transformer", .9, "t5_yproj.weight"},
    ModelRule{"", "transformer", .4,
              "{double_blocks,single_blocks,joint_blocks,transformer_blocks,"
              "single_transformer_blocks}.#.*"},
    ModelRule{"", "unet", .4, "{input_blocks,down_blocks}.#.*"},
};

constexpr std::array kVariants = {
    VariantRule{"sd1|sd2|sdxl", "unet", "-inpaint", "{input_blocks.0.0,conv_in}.weight[1]=9"},
    VariantRule{"sd1|sd2|sdxl", "unet", "-ip2p", "{input_blocks.0.0,conv_in}.weight[1]=8"},
    VariantRule{"sd2", "unet", "-depth", "{input_blocks.0.0,conv_in}.weight[1]=5"},
    VariantRule{"sdxl", "unet", "-vpred", "v_pred"},
    VariantRule{"sdxl", "unet", "-ztsnr", "v_pred ztsnr"},
    VariantRule{"sdxl", "unet", "-edm-vpred", "edm_vpred.sigma_max"},
    VariantRule{"sdxl", "unet", "-edm", "edm_mean edm_std"},
    VariantRule{"qwen-image", "transformer", "-edit", "__index_timestep_zero__"},
    VariantRule{"wan2.1-1.3b", "transformer", "-t2v",
                "patch_embedding.weight[1]=16 !vace_blocks.* !casual_audio_encoder.*"},
    VariantRule{"wan2.2-t2v-14b|wan2.2-i2v-14b", "transformer", "-high", "@name=*high*noise*"},
    VariantRule{"wan2.2-t2v-14b|wan2.2-i2v-14b", "transformer", "-low", "@name=*low*noise*"},
    VariantRule{kAnyWan, "transformer", "-vace", "vace_blocks.*"},
    VariantRule{kAnyWan, "transformer", "-camera", "control_adapter.*"},
    VariantRule{kAnyWan, "transformer", "-animate", "face_adapter.*"},
    VariantRule{kAnyWan, "transformer", "-s2v", "casual_audio_encoder.*"},
    VariantRule{"hunyuan-video", "transformer", "-i2v", "img_in.proj.weight[1]=33"},
};

}  // namespace

RuleTable DenoiserRules() { return {kRules, kVariants, kShorthands}; }

}  // namespace warmset

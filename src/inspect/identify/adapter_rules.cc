// What goes with a model: ControlNets, adapters, embeddings; and upscalers.
#include <array>

#include "inspect/identify/rules.h"

namespace warmset {
namespace {

constexpr std::array kShorthands = {
    Shorthand{"word_only", "!*.weight !*.bias !{t5,t5xxl,clip_g}"},
};

constexpr std::array kVariants = {
    VariantRule{"sdxl", "controlnet", "-union", "control_add_embedding.*"},
    VariantRule{"flux.1", "controlnet", "-union", "controlnet_mode_embedder.*"},
};

constexpr std::array kRules = {
    // ControlNets, in the names of the original code and in those of diffusers.
    ModelRule{"sd1", "controlnet", .95,
              "input_hint_block.0.weight "
              "input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight[-1]=768"},
    ModelRule{"sd2", "controlnet", .95,
              "input_hint_block.0.weight "
              "input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight[-1]=1024"},
    ModelRule{"sdxl", "controlnet", .95,
              "input_hint_block.0.weight "
              "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight[-1]=2048"},
    ModelRule{"sd1", "controlnet", .95,
              "controlnet_cond_embedding.conv_in.weight "
              "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight[-1]=768"},
    ModelRule{"sd2", "controlnet", .95,
              "controlnet_cond_embedding.conv_in.weight "
              "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight[-1]=1024"},
    ModelRule{"sdxl", "controlnet", .95,
              "controlnet_cond_embedding.conv_in.weight "
              "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight[-1]=2048"},
    ModelRule{
        "sd1", "control_lora", .95,
        "lora_controlnet input_blocks.2.1.transformer_blocks.0.attn2.to_k.{down,weight}[1]=768"},
    ModelRule{
        "sd2", "control_lora", .95,
        "lora_controlnet input_blocks.2.1.transformer_blocks.0.attn2.to_k.{down,weight}[1]=1024"},
    ModelRule{
        "sdxl", "control_lora", .95,
        "lora_controlnet input_blocks.4.1.transformer_blocks.0.attn2.to_k.{down,weight}[1]=2048"},
    ModelRule{"", "control_lora", .9, "lora_controlnet"},
    // XLabs, then InstantX and those who follow its names.
    ModelRule{"flux.1", "controlnet", .95,
              "controlnet_blocks.0.weight pos_embed_input.* input_hint_block.0.weight"},
    ModelRule{"flux.1", "controlnet", .9,
              "controlnet_blocks.0.weight controlnet_x_embedder.weight !txt_norm.weight"},
    ModelRule{"qwen-image", "controlnet", .9,
              "controlnet_blocks.0.weight controlnet_x_embedder.weight txt_norm.weight"},
    ModelRule{"sd3", "controlnet", .9,
              "controlnet_blocks.0.weight pos_embed_input.proj.weight !input_hint_block.0.weight"},
    ModelRule{"z-image", "controlnet", .9, "control_layers.0.* !cap_embedder.1.weight"},
    ModelRule{"sana", "controlnet", .9,
              "controlnet_blocks.0.weight transformer_blocks.0.ff.conv_inverted.weight"},
    ModelRule{"", "controlnet", .7, "{controlnet_blocks.0,input_hint_block.0}.weight"},
    ModelRule{"", "controlnet", .7, "controlnet_cond_embedding.conv_in.weight"},

    // SparseCtrl: AnimateDiff's frames, some of them given.
    ModelRule{"sd1", "controlnet", .9,
              "controlnet_cond_embedding.weight[1]=4|5 "
              "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight[-1]=768"},
    ModelRule{"sd1", "controlnet", .6,
              "controlnet_cond_embedding.weight[1]=4|5 "
              "down_blocks.0.attentions.0.transformer_blocks.0.norm1.weight[0]=320"},
    // ControlNet-LLLite changes the layers that its names give; SDXL's only.
    ModelRule{"sdxl", "controlnet", .9, "lllite_unet_*.conditioning1.0.weight"},
    ModelRule{"sd1", "gligen", .9,
              "position_net.linears.0.weight *.fuser.linear.weight[-1]=768 "
              "!{input_blocks.0.0,conv_in}.weight"},
    ModelRule{"", "gligen", .8,
              "position_net.linears.0.weight *.fuser.linear.weight "
              "!{input_blocks.0.0,conv_in}.weight"},

    // T2I adapters take the picture apart into channels: 64 to a colour, 256 for SDXL.
    ModelRule{"sd1", "t2i_adapter", .9, "body.0.in_conv.weight body.0.in_conv.weight[1]=64|192"},
    ModelRule{"sdxl", "t2i_adapter", .9, "body.0.in_conv.weight body.0.in_conv.weight[1]=256|768"},
    ModelRule{"sd1", "t2i_adapter", .9,
              "body.0.{block2,resnets.0.block2}.weight conv_in.weight[1]=64|192"},
    ModelRule{"sdxl", "t2i_adapter", .9,
              "body.0.{block2,resnets.0.block2}.weight conv_in.weight[1]=256|768"},
    ModelRule{"", "t2i_adapter", .7, "body.0.{in_conv,block2}.weight"},

    ModelRule{"sd1", "ip_adapter", .95, "ip_adapter.1.to_k_ip.weight[-1]=768"},
    ModelRule{"sd2", "ip_adapter", .95, "ip_adapter.1.to_k_ip.weight[-1]=1024"},
    ModelRule{"sdxl", "ip_adapter", .95, "ip_adapter.1.to_k_ip.weight[-1]=2048"},
    ModelRule{"flux.1", "ip_adapter", .9, "ip_adapter_proj_model.*"},
    ModelRule{"flux.1", "ip_adapter", .85,
              "ip_adapter.0.to_k_ip.weight[0]=3072 ip_adapter.0.to_k_ip.weight[1]=4096"},
    ModelRule{"", "ip_adapter", .8, "{image_proj,ip_adapter}.*"},
    ModelRule{"flux.1", "style_model", .98, "redux_up.weight redux_down.weight tensors<5"},

    // T2I adapters' style; the layers' name is spelled so in the code.
    ModelRule{"sd1", "style_model", .9,
              "style_embedding transformer_layes.0.attn.in_proj_weight proj[-1]=768"},

    // AnimateDiff's motion modules, without the UNet.
    ModelRule{"sd1", "motion_adapter", .9,
              "down_blocks.0.motion_modules.0.* down_blocks.3.motion_modules.0.* !conv_in.weight"},
    ModelRule{"sdxl", "motion_adapter", .8,
              "down_blocks.0.motion_modules.0.* !down_blocks.3.motion_modules.0.* !conv_in.weight"},

    ModelRule{"sdxl", "embedding", .95, "clip_g clip_l !{t5,t5xxl}"},
    ModelRule{"sdxl", "embedding", .7, "clip_g !{t5,t5xxl}"},
    ModelRule{"sd3", "embedding", .8, "clip_g {t5,t5xxl}"},
    ModelRule{"flux.1", "embedding", .8, "{t5,t5xxl}[-1]=4096 !clip_g"},
    ModelRule{"sd1", "embedding", .9, "{emb_params,string_to_param.*}[-1]=768"},
    ModelRule{"sd2", "embedding", .9, "{emb_params,string_to_param.*}[-1]=1024"},
    ModelRule{"sdxl", "embedding", .9, "{emb_params,string_to_param.*}[-1]=1280"},
    ModelRule{"", "embedding", .7, "{emb_params,string_to_param.*}"},
    // What PEFT learns in place of a prompt, for a model that only its configuration names.
    ModelRule{"", "embedding", .9, "prompt_embeddings[rank]=2 tensors<8"},
    // diffusers names the tensor by the word it teaches.
    ModelRule{"sd1", "embedding", .3, "tensors<10 *[-1]=768 $word_only"},
    ModelRule{"sd2", "embedding", .3, "tensors<10 *[-1]=1024 $word_only"},
    ModelRule{"sdxl", "embedding", .3, "tensors<10 *[-1]=1280 $word_only"},

    ModelRule{"sd1", "hypernetwork", .8, "768.#.linear.0.weight"},
    ModelRule{"sd2", "hypernetwork", .8, "1024.#.linear.0.weight !768.#.linear.0.weight"},

    // Upscalers. ESRGAN's keys are from three generations of its code.
    ModelRule{"esrgan", "upscaler", .95, "1.sub.0.RDB1.conv1.0.weight"},
    ModelRule{"esrgan", "upscaler", .95, "conv_first.weight RRDB_trunk.0.RDB1.conv1.weight"},
    ModelRule{"esrgan", "upscaler", .95, "conv_first.weight body.0.rdb1.conv1.weight"},
    ModelRule{
        "realesrgan-compact", "upscaler", .9,
        "body.0.weight[1]=3 body.0.weight[rank]=4 body.1.weight[rank]=1 body.2.weight[rank]=4"},
    ModelRule{
        "hat", "upscaler", .95,
        "conv_first.weight layers.0.residual_group.overlap_attn.relative_position_bias_table"},
    ModelRule{"swinir", "upscaler", .9,
              "conv_first.weight "
              "layers.0.residual_group.blocks.0.attn.relative_position_bias_table "
              "!layers.0.residual_group.overlap_attn.relative_position_bias_table"},
    ModelRule{"dat", "upscaler", .9,
              "conv_first.weight layers.0.blocks.0.attn.attns.0.pos.pos_proj.weight"},
    ModelRule{"span", "upscaler", .85, "block_1.c1_r.sk.weight"},
    ModelRule{"", "upscaler", .5, "conv_first.weight {conv_last,upsample.0}.weight"},
};

}  // namespace

RuleTable AdapterRules() { return {kRules, kVariants, kShorthands}; }

}  // namespace warmset

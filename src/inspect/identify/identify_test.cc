#include "inspect/identify/identify.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/identify/rule_book.h"
#include "inspect/identify/tensor_parts.h"
#include "inspect/identify/test_tensors.h"

namespace warmset {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Keys and shapes as in the real models.
struct ModelCase {
  std::string label;
  TestTensors tensors;
  std::string kind;
  std::vector<std::string> architectures;  // likeliest first
  std::vector<std::string> needs = {};
  std::string file_name = "";
  std::map<std::string, std::string> metadata = {};
};

void PrintTo(const ModelCase& test, std::ostream* out) { *out << test.label; }

class IdentifyModelTest : public testing::TestWithParam<ModelCase> {};

TEST_P(IdentifyModelTest, IsWhatItIs) {
  const ModelCase& test = GetParam();
  const TensorTable table = TableOf(test.tensors);
  const TensorTable* const tables[] = {&table};
  const Identification found = Identify({.tensors = tables,
                                         .format = "safetensors",
                                         .metadata = &test.metadata,
                                         .file_name = test.file_name});
  EXPECT_EQ(found.kind, test.kind);
  std::vector<std::string> names;
  for (const Architecture& each : found.architectures) {
    if (!each.name.empty()) names.push_back(each.name);
    EXPECT_FALSE(each.evidence.empty()) << each.name;
    EXPECT_GE(each.confidence, 0);
    EXPECT_LT(each.confidence, 1);
  }
  EXPECT_EQ(names, test.architectures);
  EXPECT_EQ(found.requires_models, test.needs);
  EXPECT_THAT(found.disagreements, IsEmpty());
}

std::string LabelOf(const testing::TestParamInfo<ModelCase>& info) { return info.param.label; }

const std::vector<std::string> kParts = {"text_encoder", "vae"};
const std::string kAttn2 = ".transformer_blocks.0.attn2.to_k.weight";
const std::string kHubAttn2 = ".attentions.0.transformer_blocks.0.attn2.to_k.weight";

TestTensors Unet(uint64_t width, uint64_t channels_in = 4) {
  return {{"input_blocks.0.0.weight", {320, channels_in, 3, 3}},
          {"input_blocks.2.1" + kAttn2, {320, width}},
          {"out.2.weight", {4, 320, 3, 3}}};
}
TestTensors UnetXl(uint64_t width = 2048, uint64_t model = 320, uint64_t label = 2816,
                   uint64_t channels_in = 4) {
  return {{"input_blocks.0.0.weight", {model, channels_in, 3, 3}},
          {"input_blocks.4.1" + kAttn2, {2 * model, width}},
          {"label_emb.0.0.weight", {4 * model, label}}};
}
TestTensors HubUnet(const std::string& block, uint64_t width, uint64_t channels_in = 4) {
  return {{"conv_in.weight", {320, channels_in, 3, 3}},
          {"conv_out.weight", {4, 320, 3, 3}},
          {block + kHubAttn2, {320, width}}};
}

INSTANTIATE_TEST_SUITE_P(
    Unets, IdentifyModelTest,
    testing::Values(
        ModelCase{"sd1",
                  Prefixed("model.diffusion_model.", Unet(768)),
                  "diffusion_model",
                  {"sd1"},
                  kParts},
        ModelCase{"sd1_bare", Unet(768), "diffusion_model", {"sd1"}, kParts},
        ModelCase{"sd1_state_dict",
                  Prefixed("state_dict.model.diffusion_model.", Unet(768)),
                  "diffusion_model",
                  {"sd1"},
                  kParts},
        ModelCase{"sd1_inpaint", Unet(768, 9), "diffusion_model", {"sd1-inpaint"}, kParts},
        ModelCase{"sd1_ip2p", Unet(768, 8), "diffusion_model", {"sd1-ip2p"}, kParts},
        ModelCase{"sd2", Unet(1024), "diffusion_model", {"sd2"}, kParts},
        ModelCase{"sd2_depth", Unet(1024, 5), "diffusion_model", {"sd2-depth"}, kParts},
        ModelCase{"sdxl", UnetXl(), "diffusion_model", {"sdxl"}, kParts},
        ModelCase{"sdxl_inpaint",
                  UnetXl(2048, 320, 2816, 9),
                  "diffusion_model",
                  {"sdxl-inpaint"},
                  kParts},
        ModelCase{
            "sdxl_refiner", UnetXl(1280, 384, 2560), "diffusion_model", {"sdxl-refiner"}, kParts},
        ModelCase{"sdxl_vpred",
                  Prefixed("model.diffusion_model.", UnetXl()) + TestTensors{{"v_pred", {0}}},
                  "diffusion_model",
                  {"sdxl-vpred"},
                  kParts},
        ModelCase{"sdxl_vpred_ztsnr",
                  Prefixed("model.diffusion_model.", UnetXl()) +
                      TestTensors{{"v_pred", {0}}, {"ztsnr", {0}}},
                  "diffusion_model",
                  {"sdxl-vpred-ztsnr"},
                  kParts},
        ModelCase{"sdxl_edm_vpred",
                  UnetXl() + TestTensors{{"edm_vpred.sigma_max", {}}},
                  "diffusion_model",
                  {"sdxl-edm-vpred"},
                  kParts},
        ModelCase{"sdxl_edm",
                  UnetXl() + TestTensors{{"edm_mean", {}}, {"edm_std", {}}},
                  "diffusion_model",
                  {"sdxl-edm"},
                  kParts},
        ModelCase{"hub_sd1", HubUnet("down_blocks.0", 768), "diffusion_model", {"sd1"}, kParts},
        ModelCase{"hub_sd1_inpaint",
                  HubUnet("down_blocks.0", 768, 9),
                  "diffusion_model",
                  {"sd1-inpaint"},
                  kParts},
        ModelCase{"hub_sd2", HubUnet("down_blocks.0", 1024), "diffusion_model", {"sd2"}, kParts},
        ModelCase{"hub_sdxl", HubUnet("down_blocks.1", 2048), "diffusion_model", {"sdxl"}, kParts},
        ModelCase{"hub_refiner",
                  HubUnet("down_blocks.1", 1280) +
                      TestTensors{{"add_embedding.linear_1.weight", {1536, 2560}}},
                  "diffusion_model",
                  {"sdxl-refiner"},
                  kParts}),
    LabelOf);

TestTensors Sd3(uint64_t positions, uint64_t width, int last_block) {
  return {{"joint_blocks.0.context_block.attn.qkv.weight", {3 * width, width}},
          {"joint_blocks.0.context_block.adaLN_modulation.1.bias", {6 * width}},
          {"joint_blocks." + std::to_string(last_block) + ".x_block.attn.qkv.weight",
           {3 * width, width}},
          {"pos_embed", {1, positions, width}},
          {"x_embedder.proj.weight", {width, 16, 2, 2}}};
}
TestTensors HubSd3(int last_block) {
  return {{"transformer_blocks.0.attn.add_q_proj.weight", {1536, 1536}},
          {"transformer_blocks." + std::to_string(last_block) + ".attn.to_q.weight", {1536, 1536}},
          {"pos_embed.proj.weight", {1536, 16, 2, 2}}};
}
TestTensors Flux(uint64_t in, bool guidance = true, const std::string& norm = "scale") {
  TestTensors tensors = {{"double_blocks.0.img_attn.norm.key_norm." + norm, {128}},
                         {"double_blocks.0.img_attn.qkv.weight", {9216, 3072}},
                         {"img_in.weight", {3072, in}},
                         {"txt_in.weight", {3072, 4096}}};
  if (guidance) tensors.push_back({"guidance_in.in_layer.weight", {3072, 256}});
  return tensors;
}
TestTensors HubFlux(uint64_t in, bool guidance = true) {
  TestTensors tensors = {{"transformer_blocks.0.attn.add_k_proj.weight", {3072, 3072}},
                         {"single_transformer_blocks.0.attn.to_q.weight", {3072, 3072}},
                         {"x_embedder.weight", {3072, in}}};
  if (guidance)
    tensors.push_back({"time_text_embed.guidance_embedder.linear_1.weight", {3072, 256}});
  return tensors;
}
TestTensors Flux2(uint64_t text) {
  return Flux(128) +
         TestTensors{{"double_stream_modulation_img.lin.weight", {36864, 6144}},
                     {"txt_in.weight.", {0}}} +
         TestTensors{{"txt_in.weight", {6144, text}}};
}
TestTensors Wan(uint64_t width, uint64_t in) {
  return {{"blocks.0.self_attn.q.weight", {width, width}},
          {"head.modulation", {1, 2, width}},
          {"patch_embedding.weight", {width, in, 1, 2, 2}},
          {"text_embedding.0.weight", {width, 4096}}};
}
TestTensors HubWan(uint64_t width, uint64_t in) {
  return {{"blocks.0.attn1.to_q.weight", {width, width}},
          {"condition_embedder.text_embedder.linear_1.weight", {width, 4096}},
          {"patch_embedding.weight", {width, in, 1, 2, 2}}};
}
TestTensors QwenImage() {
  return {{"txt_norm.weight", {3584}},
          {"txt_in.weight", {3072, 3584}},
          {"img_in.weight", {3072, 64}},
          {"transformer_blocks.0.attn.add_k_proj.weight", {3072, 3072}}};
}

INSTANTIATE_TEST_SUITE_P(
    Transformers, IdentifyModelTest,
    testing::Values(
        ModelCase{"sd3_medium", Sd3(36864, 1536, 23), "diffusion_model", {"sd3-medium"}, kParts},
        ModelCase{
            "sd35_medium", Sd3(147456, 1536, 23), "diffusion_model", {"sd3.5-medium"}, kParts},
        ModelCase{"sd35_large", Sd3(36864, 2432, 37), "diffusion_model", {"sd3.5-large"}, kParts},
        ModelCase{"hub_sd3_medium", HubSd3(23), "diffusion_model", {"sd3-medium"}, kParts},
        ModelCase{"hub_sd35_large", HubSd3(37), "diffusion_model", {"sd3.5-large"}, kParts},
        ModelCase{
            "hub_sd35_medium",
            HubSd3(23) + TestTensors{{"transformer_blocks.0.attn2.to_q.weight", {1536, 1536}}},
            "diffusion_model",
            {"sd3.5-medium"},
            kParts},
        ModelCase{"flux1_dev", Flux(64), "diffusion_model", {"flux.1-dev"}, kParts},
        ModelCase{"flux1_dev_weight",
                  Flux(64, true, "weight"),
                  "diffusion_model",
                  {"flux.1-dev"},
                  kParts},
        ModelCase{"flux1_dev_prefixed",
                  Prefixed("model.diffusion_model.", Flux(64)),
                  "diffusion_model",
                  {"flux.1-dev"},
                  kParts},
        ModelCase{"flux1_schnell", Flux(64, false), "diffusion_model", {"flux.1-schnell"}, kParts},
        ModelCase{"flux1_fill", Flux(384), "diffusion_model", {"flux.1-fill"}, kParts},
        ModelCase{"flux1_depth_canny",
                  Flux(128),
                  "diffusion_model",
                  {"flux.1-depth", "flux.1-canny"},
                  kParts},
        ModelCase{"hub_flux1_dev", HubFlux(64), "diffusion_model", {"flux.1-dev"}, kParts},
        ModelCase{
            "hub_flux1_schnell", HubFlux(64, false), "diffusion_model", {"flux.1-schnell"}, kParts},
        ModelCase{"hub_flux1_fill", HubFlux(384), "diffusion_model", {"flux.1-fill"}, kParts},
        ModelCase{"flux2_klein_4b", Flux2(7680), "diffusion_model", {"flux.2-klein-4b"}, kParts},
        ModelCase{"flux2_klein_9b", Flux2(12288), "diffusion_model", {"flux.2-klein-9b"}, kParts},
        ModelCase{"flux2_dev", Flux2(15360), "diffusion_model", {"flux.2-dev"}, kParts},
        ModelCase{"flux2_other", Flux2(1), "diffusion_model", {"flux.2"}, kParts},
        ModelCase{"chroma",
                  Flux(64) + TestTensors{{"distilled_guidance_layer.in_proj.weight", {5120, 64}}},
                  "diffusion_model",
                  {"chroma"},
                  kParts},
        ModelCase{"chroma_radiance",
                  Flux(64) + TestTensors{{"distilled_guidance_layer.in_proj.weight", {5120, 64}},
                                         {"nerf_blocks.0.norm.scale", {64}}},
                  "diffusion_model",
                  {"chroma-radiance"},
                  {"text_encoder"}},
        ModelCase{"ovis_image",
                  TestTensors{{"double_blocks.0.img_attn.norm.key_norm.scale", {128}},
                              {"double_blocks.0.img_attn.proj.weight", {3072, 3072}},
                              {"txt_norm.weight", {2048}},
                              {"txt_in.weight", {3072, 2048}},
                              {"img_in.weight", {3072, 64}}},
                  "diffusion_model",
                  {"ovis-image"},
                  kParts},
        ModelCase{"pixart_alpha",
                  TestTensors{{"t_block.1.weight", {6912, 1152}},
                              {"ar_embedder.mlp.0.weight", {384, 256}}},
                  "diffusion_model",
                  {"pixart-alpha"},
                  kParts},
        ModelCase{"pixart_sigma",
                  TestTensors{{"t_block.1.weight", {6912, 1152}}},
                  "diffusion_model",
                  {"pixart-sigma"},
                  kParts},
        ModelCase{"hub_pixart",
                  TestTensors{{"adaln_single.emb.timestep_embedder.linear_1.bias", {1152}},
                              {"pos_embed.proj.bias", {1152}},
                              {"proj_in.weight", {1, 1}}},
                  "diffusion_model",
                  {"pixart-sigma"},
                  kParts},
        ModelCase{"ltx_video",
                  TestTensors{{"adaln_single.emb.timestep_embedder.linear_1.bias", {2048}},
                              {"patchify_proj.weight", {2048, 128}}},
                  "diffusion_model",
                  {"ltx-video"},
                  kParts},
        ModelCase{"lumina2",
                  TestTensors{{"cap_embedder.1.weight", {2304, 2304}},
                              {"noise_refiner.0.attention.qkv.weight", {1, 1}}},
                  "diffusion_model",
                  {"lumina2"},
                  kParts},
        ModelCase{"z_image",
                  TestTensors{{"cap_embedder.1.weight", {3840, 2560}},
                              {"noise_refiner.0.attention.qkv.weight", {1, 1}}},
                  "diffusion_model",
                  {"z-image"},
                  kParts},
        ModelCase{"qwen_image", QwenImage(), "diffusion_model", {"qwen-image"}, kParts},
        ModelCase{"qwen_image_edit",
                  QwenImage() + TestTensors{{"__index_timestep_zero__", {0}}},
                  "diffusion_model",
                  {"qwen-image-edit"},
                  kParts},
        ModelCase{"wan21_1_3b", Wan(1536, 16), "diffusion_model", {"wan2.1-1.3b-t2v"}, kParts},
        ModelCase{"wan_t2v_14b",
                  Wan(5120, 16),
                  "diffusion_model",
                  {"wan2.1-t2v-14b", "wan2.2-t2v-14b"},
                  kParts},
        ModelCase{"wan22_t2v_high",
                  Wan(5120, 16),
                  "diffusion_model",
                  {"wan2.2-t2v-14b-high", "wan2.1-t2v-14b"},
                  kParts,
                  "wan2.2_t2v_HIGH_noise_14B_fp16.safetensors"},
        ModelCase{"wan22_t2v_low",
                  Wan(5120, 16),
                  "diffusion_model",
                  {"wan2.2-t2v-14b-low", "wan2.1-t2v-14b"},
                  kParts,
                  "wan2.2_t2v_low_noise_14B_fp16.safetensors"},
        ModelCase{"wan21_i2v_14b",
                  Wan(5120, 36) + TestTensors{{"img_emb.proj.0.weight", {1280}}},
                  "diffusion_model",
                  {"wan2.1-i2v-14b"},
                  kParts},
        ModelCase{"wan22_i2v_14b", Wan(5120, 36), "diffusion_model", {"wan2.2-i2v-14b"}, kParts},
        ModelCase{"wan22_ti2v_5b", Wan(3072, 48), "diffusion_model", {"wan2.2-ti2v-5b"}, kParts},
        ModelCase{
            "hub_wan22_ti2v_5b", HubWan(3072, 48), "diffusion_model", {"wan2.2-ti2v-5b"}, kParts},
        ModelCase{
            "hub_wan21_1_3b", HubWan(1536, 16), "diffusion_model", {"wan2.1-1.3b-t2v"}, kParts},
        ModelCase{"wan_vace_14b",
                  Wan(5120, 16) + TestTensors{{"vace_blocks.0.after_proj.weight", {5120, 5120}}},
                  "diffusion_model",
                  {"wan2.1-t2v-14b-vace"},
                  kParts},
        ModelCase{"wan_camera",
                  Wan(5120, 36) + TestTensors{{"control_adapter.conv.weight", {1, 1}}},
                  "diffusion_model",
                  {"wan2.2-i2v-14b-camera"},
                  kParts},
        ModelCase{"wan_animate",
                  Wan(5120, 36) + TestTensors{{"face_adapter.fuser_blocks.0.k_norm.weight", {1}}},
                  "diffusion_model",
                  {"wan2.2-i2v-14b-animate"},
                  kParts},
        ModelCase{"wan_s2v",
                  Wan(1536, 16) + TestTensors{{"casual_audio_encoder.weights", {1}}},
                  "diffusion_model",
                  {"wan2.1-1.3b-s2v"},
                  kParts},
        ModelCase{"hunyuan_video",
                  TestTensors{{"txt_in.individual_token_refiner.blocks.0.mlp.fc1.weight", {1, 1}},
                              {"double_blocks.0.img_attn.proj.weight", {3072, 3072}},
                              {"img_in.proj.weight", {3072, 16, 1, 2, 2}}},
                  "diffusion_model",
                  {"hunyuan-video"},
                  kParts},
        ModelCase{"cosmos",
                  TestTensors{{"net.blocks.block0.blocks.0.block.attn.to_q.0.weight", {4096, 4096}},
                              {"net.x_embedder.proj.1.weight", {4096, 68}}},
                  "diffusion_model",
                  {"cosmos-predict1"},
                  kParts},
        ModelCase{"gguf_flux",
                  Flux(64),
                  "diffusion_model",
                  {"flux.1-dev"},
                  kParts,
                  "",
                  {{"general.architecture", "flux"}}},
        ModelCase{"gguf_sd3_without_rules_keys",
                  TestTensors{{"x", {1}}},
                  "diffusion_model",
                  {"sd3"},
                  kParts,
                  "",
                  {{"general.architecture", "sd3"}}}),
    LabelOf);

TestTensors Clip(int last) {
  return {{"text_model.encoder.layers.0.mlp.fc1.weight", {3072, 768}},
          {"text_model.encoder.layers." + std::to_string(last) + ".mlp.fc1.weight", {3072, 768}}};
}
TestTensors DeepClip(int last) { return Clip(22) + Clip(last); }
TestTensors T5(uint64_t width, const std::string& wi = "wi_1") {
  return {{"encoder.block.23.layer.1.DenseReluDense." + wi + ".weight", {10240, width}},
          {"encoder.block.0.layer.0.SelfAttention.k.weight", {width, width}}};
}
TestTensors Llm(const TestTensors& more, uint64_t width) {
  return Prefixed("model.", TestTensors{{"embed_tokens.weight", {1000, width}},
                                        {"layers.0.self_attn.q_proj.weight", {width, width}},
                                        {"layers.0.mlp.gate_proj.weight", {width, width}},
                                        {"norm.weight", {width}}} +
                                more);
}
const TestTensors kQNorm = {{"layers.0.self_attn.q_norm.weight", {128}}};
const TestTensors kGemma = {{"layers.0.post_feedforward_layernorm.weight", {1}}};

INSTANTIATE_TEST_SUITE_P(
    Encoders, IdentifyModelTest,
    testing::Values(
        ModelCase{"clip_l", Clip(11), "text_encoder", {"clip-l"}},
        ModelCase{"clip_h", Clip(22), "text_encoder", {"clip-h"}},
        ModelCase{"clip_g", DeepClip(30), "text_encoder", {"clip-g"}},
        ModelCase{"open_clip_g",
                  TestTensors{{"transformer.resblocks.0.ln_1.weight", {1280}}},
                  "text_encoder",
                  {"clip-g"}},
        ModelCase{
            "open_clip_h",
            TestTensors{{"cond_stage_model.model.transformer.resblocks.0.ln_1.weight", {1024}}},
            "text_encoder",
            {"clip-h"}},
        ModelCase{"t5_xxl", T5(4096), "text_encoder", {"t5-xxl"}},
        ModelCase{"t5_xl", T5(2048), "text_encoder", {"t5-xl"}},
        ModelCase{"t5_xxl_old", T5(4096, "wi"), "text_encoder", {"t5-xxl-old"}},
        ModelCase{
            "umt5_xxl",
            T5(4096) +
                TestTensors{{"encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight",
                             {32, 64}}},
            "text_encoder",
            {"umt5-xxl"}},
        ModelCase{"t5_base",
                  TestTensors{{"encoder.block.0.layer.0.SelfAttention.k.weight", {768, 768}}},
                  "text_encoder",
                  {"t5-base"}},
        ModelCase{"byt5",
                  TestTensors{{"encoder.block.0.layer.0.SelfAttention.k.weight", {384, 1472}}},
                  "text_encoder",
                  {"byt5-small"}},
        ModelCase{"t5_xxl_gguf",
                  TestTensors{{"enc.blk.0.attn_k.weight", {4096, 4096}},
                              {"enc.blk.23.ffn_up.weight", {10240, 4096}}},
                  "text_encoder",
                  {"t5-xxl"},
                  {},
                  "",
                  {{"general.architecture", "t5encoder"}}},
        ModelCase{"qwen25_3b",
                  Llm({{"layers.0.self_attn.k_proj.bias", {256}}}, 2048),
                  "llm",
                  {"qwen2.5-3b"}},
        ModelCase{"qwen25_7b",
                  Llm({{"layers.0.self_attn.k_proj.bias", {512}}}, 3584),
                  "llm",
                  {"qwen2.5-7b"}},
        ModelCase{"qwen25_vl_7b",
                  Llm({{"layers.0.self_attn.k_proj.bias", {512}}}, 3584) +
                      TestTensors{{"visual.blocks.0.attn.qkv.weight", {1, 1}}},
                  "llm",
                  {"qwen2.5-vl-7b"}},
        ModelCase{"qwen3_06b", Llm(kQNorm, 1024), "llm", {"qwen3-0.6b"}},
        ModelCase{"qwen3_2b", Llm(kQNorm, 2048), "llm", {"qwen3-2b"}},
        ModelCase{"qwen3_4b", Llm(kQNorm, 2560), "llm", {"qwen3-4b"}},
        ModelCase{"qwen3_8b", Llm(kQNorm, 4096), "llm", {"qwen3-8b"}},
        ModelCase{"mistral", Llm({}, 5120), "llm", {"mistral"}},
        ModelCase{"gemma2", Llm(kGemma, 2304), "llm", {"gemma2"}},
        ModelCase{"gemma3", Llm(kGemma + kQNorm, 3840), "llm", {"gemma3"}},
        ModelCase{"llama", Llm({}, 4096), "llm", {"llama"}},
        ModelCase{"gguf_llm",
                  TestTensors{{"blk.0.attn_norm.weight", {64}}, {"token_embd.weight", {9, 64}}},
                  "llm",
                  {"qwen3moe"},
                  {},
                  "",
                  {{"general.architecture", "qwen3moe"}, {"qwen3moe.block_count", "48"}}},
        ModelCase{"gguf_mmproj",
                  TestTensors{{"v.blk.0.attn_q.weight", {64, 64}}},
                  "clip_vision",
                  {},
                  {},
                  "",
                  {{"general.architecture", "clip"}, {"general.type", "mmproj"}}},
        ModelCase{"clip_vision_h",
                  TestTensors{{"vision_model.encoder.layers.0.mlp.fc1.weight", {1, 1}},
                              {"vision_model.encoder.layers.30.mlp.fc1.weight", {1, 1}}},
                  "clip_vision",
                  {"clip-vision-h"}},
        ModelCase{"clip_vision_l",
                  TestTensors{{"vision_model.encoder.layers.0.mlp.fc1.weight", {1, 1}},
                              {"vision_model.encoder.layers.22.mlp.fc1.weight", {1, 1}}},
                  "clip_vision",
                  {"clip-vision-l"}}),
    LabelOf);

TestTensors Vae(std::vector<uint64_t> conv_in) {
  return {{"decoder.conv_in.weight", std::move(conv_in)},
          {"encoder.conv_out.weight", {8, 512, 3, 3}}};
}
const TestTensors kNativeWanVae = {{"decoder.middle.0.residual.0.gamma", {384, 1, 1, 1}}};

INSTANTIATE_TEST_SUITE_P(
    Vaes, IdentifyModelTest,
    testing::Values(
        ModelCase{"sd", Vae({512, 4, 3, 3}), "vae", {"sd1-vae", "sdxl-vae"}},
        ModelCase{"sd_prefixed",
                  Prefixed("first_stage_model.", Vae({512, 4, 3, 3})),
                  "vae",
                  {"sd1-vae", "sdxl-vae"}},
        ModelCase{"sdxl_by_name",
                  Vae({512, 4, 3, 3}),
                  "vae",
                  {"sdxl-vae", "sd1-vae"},
                  {},
                  "sdxl_vae.safetensors"},
        ModelCase{"flux_or_sd3",
                  Prefixed("vae.", Vae({512, 16, 3, 3})),
                  "vae",
                  {"flux.1-vae", "sd3-vae"}},
        ModelCase{"flux2_wide", Vae({512, 32, 3, 3}), "vae", {"flux.2-vae"}},
        ModelCase{"flux2_norm",
                  Vae({512, 16, 3, 3}) + TestTensors{{"bn.running_mean", {128}}},
                  "vae",
                  {"flux.2-vae"}},
        ModelCase{
            "wan21_or_qwen", Vae({384, 16, 3, 3, 3}), "vae", {"wan2.1-vae", "qwen-image-vae"}},
        ModelCase{"wan22", Vae({1024, 48, 3, 3, 3}), "vae", {"wan2.2-vae"}},
        ModelCase{"native_wan21", kNativeWanVae, "vae", {"wan2.1-vae", "qwen-image-vae"}},
        ModelCase{
            "native_wan22",
            kNativeWanVae + TestTensors{{"decoder.upsamples.0.upsamples.0.residual.0.gamma", {1}}},
            "vae",
            {"wan2.2-vae"}},
        ModelCase{"taesd",
                  TestTensors{{"taesd_decoder.1.weight", {64, 4, 3, 3}}},
                  "vae_approx",
                  {"taesd"}}),
    LabelOf);

const TestTensors kHint = {{"input_hint_block.0.weight", {16, 3, 3, 3}}};
const TestTensors kCondition = {{"controlnet_cond_embedding.conv_in.weight", {16, 3, 3, 3}}};
const TestTensors kControlBlock = {{"controlnet_blocks.0.weight", {3072, 3072}}};

INSTANTIATE_TEST_SUITE_P(
    Adapters, IdentifyModelTest,
    testing::Values(
        ModelCase{"controlnet_sd1",
                  Prefixed("control_model.", Unet(768) + kHint),
                  "controlnet",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"controlnet_sd2", Unet(1024) + kHint, "controlnet", {"sd2"}, {"sd2"}},
        ModelCase{"controlnet_sdxl", UnetXl() + kHint, "controlnet", {"sdxl"}, {"sdxl"}},
        ModelCase{"hub_controlnet_sd1",
                  HubUnet("down_blocks.0", 768) + kCondition,
                  "controlnet",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"hub_controlnet_sdxl",
                  HubUnet("down_blocks.1", 2048) + kCondition,
                  "controlnet",
                  {"sdxl"},
                  {"sdxl"}},
        ModelCase{"controlnet_union",
                  HubUnet("down_blocks.1", 2048) + kCondition +
                      TestTensors{{"control_add_embedding.linear_1.weight", {1280, 1536}}},
                  "controlnet",
                  {"sdxl-union"},
                  {"sdxl"}},
        ModelCase{
            "control_lora",
            TestTensors{{"lora_controlnet", {0}},
                        {"input_blocks.0.0.weight", {320, 4, 3, 3}},
                        {"input_hint_block.0.weight", {16, 3, 3, 3}},
                        {"input_blocks.4.1.transformer_blocks.0.attn2.to_k.up", {640, 128}},
                        {"input_blocks.4.1.transformer_blocks.0.attn2.to_k.down", {128, 2048}}},
            "control_lora",
            {"sdxl"},
            {"sdxl"}},
        ModelCase{
            "controlnet_xlabs",
            Flux(64) + kControlBlock + kHint + TestTensors{{"pos_embed_input.weight", {3072, 64}}},
            "controlnet",
            {"flux.1"},
            {"flux.1"}},
        ModelCase{
            "controlnet_instantx",
            HubFlux(64) + kControlBlock + TestTensors{{"controlnet_x_embedder.weight", {3072, 64}}},
            "controlnet",
            {"flux.1"},
            {"flux.1"}},
        ModelCase{"controlnet_sd3",
                  HubSd3(11) + kControlBlock +
                      TestTensors{{"pos_embed_input.proj.weight", {1536, 16, 2, 2}}},
                  "controlnet",
                  {"sd3"},
                  {"sd3"}},
        ModelCase{"controlnet_z_image",
                  TestTensors{{"control_layers.0.attention.qkv.weight", {1, 1}}},
                  "controlnet",
                  {"z-image"},
                  {"z-image"}},
        ModelCase{"t2i_light",
                  TestTensors{{"body.0.in_conv.weight", {160, 192, 1, 1}}},
                  "t2i_adapter",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"t2i_full",
                  TestTensors{{"conv_in.weight", {320, 192, 3, 3}},
                              {"body.0.block2.weight", {320, 320, 1, 1}}},
                  "t2i_adapter",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"t2i_full_sdxl",
                  TestTensors{{"conv_in.weight", {320, 768, 3, 3}},
                              {"body.0.block2.weight", {320, 320, 1, 1}}},
                  "t2i_adapter",
                  {"sdxl"},
                  {"sdxl"}},
        ModelCase{"t2i_diffusers",
                  Prefixed("adapter.", {{"conv_in.weight", {320, 256, 3, 3}},
                                        {"body.0.resnets.0.block2.weight", {320, 320, 1, 1}}}),
                  "t2i_adapter",
                  {"sdxl"},
                  {"sdxl"}},
        ModelCase{"ip_adapter_sd1",
                  TestTensors{{"image_proj.proj.weight", {3072, 1024}},
                              {"ip_adapter.1.to_k_ip.weight", {320, 768}}},
                  "ip_adapter",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"ip_adapter_sd2",
                  TestTensors{{"ip_adapter.1.to_k_ip.weight", {320, 1024}}},
                  "ip_adapter",
                  {"sd2"},
                  {"sd2"}},
        ModelCase{"ip_adapter_sdxl",
                  TestTensors{{"ip_adapter.1.to_k_ip.weight", {640, 2048}}},
                  "ip_adapter",
                  {"sdxl"},
                  {"sdxl"}},
        ModelCase{"ip_adapter_with_lora",
                  TestTensors{{"image_proj.proj.weight", {3072, 512}},
                              {"ip_adapter.0.to_q_lora.down.weight", {128, 320}},
                              {"ip_adapter.0.to_q_lora.up.weight", {320, 128}},
                              {"ip_adapter.0.to_k_lora.down.weight", {128, 768}},
                              {"ip_adapter.1.to_k_ip.weight", {320, 768}}},
                  "ip_adapter",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"ip_adapter_xlabs",
                  TestTensors{{"ip_adapter_proj_model.proj.weight", {16384, 768}}},
                  "ip_adapter",
                  {"flux.1"},
                  {"flux.1"}},
        ModelCase{"redux",
                  TestTensors{{"redux_up.weight", {12288, 1152}},
                              {"redux_up.bias", {12288}},
                              {"redux_down.weight", {4096, 12288}},
                              {"redux_down.bias", {4096}}},
                  "style_model",
                  {"flux.1"},
                  {"flux.1"}},
        ModelCase{"motion_adapter",
                  TestTensors{
                      {"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight", {320}},
                      {"down_blocks.3.motion_modules.0.temporal_transformer.norm.weight", {1280}}},
                  "motion_adapter",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"embedding_a1111",
                  TestTensors{{"string_to_param.*", {4, 768}}},
                  "embedding",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{
            "embedding_sd2", TestTensors{{"emb_params", {8, 1024}}}, "embedding", {"sd2"}, {"sd2"}},
        ModelCase{"embedding_sdxl",
                  TestTensors{{"clip_g", {8, 1280}}, {"clip_l", {8, 768}}},
                  "embedding",
                  {"sdxl"},
                  {"sdxl"}},
        ModelCase{"embedding_diffusers",
                  TestTensors{{"<cat-toy>", {1, 768}}},
                  "embedding",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"hypernetwork",
                  TestTensors{{"768.0.linear.0.weight", {1536, 768}},
                              {"320.0.linear.0.weight", {640, 320}}},
                  "hypernetwork",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"esrgan_old",
                  TestTensors{{"model.0.weight", {64, 3, 3, 3}},
                              {"model.1.sub.0.RDB1.conv1.0.weight", {32, 64, 3, 3}}},
                  "upscaler",
                  {"esrgan"}},
        ModelCase{"esrgan_trunk",
                  TestTensors{{"conv_first.weight", {64, 3, 3, 3}},
                              {"RRDB_trunk.0.RDB1.conv1.weight", {32, 64, 3, 3}}},
                  "upscaler",
                  {"esrgan"}},
        ModelCase{"realesrgan",
                  Prefixed("params_ema.", {{"conv_first.weight", {64, 3, 3, 3}},
                                           {"body.0.rdb1.conv1.weight", {32, 64, 3, 3}}}),
                  "upscaler",
                  {"esrgan"}},
        ModelCase{"realesrgan_compact",
                  Prefixed("params.", {{"body.0.weight", {64, 3, 3, 3}},
                                       {"body.1.weight", {64}},
                                       {"body.2.weight", {64, 64, 3, 3}}}),
                  "upscaler",
                  {"realesrgan-compact"}},
        ModelCase{"swinir",
                  TestTensors{{"conv_first.weight", {180, 3, 3, 3}},
                              {"layers.0.residual_group.blocks.0.attn.relative_position_bias_table",
                               {225, 6}}},
                  "upscaler",
                  {"swinir"}},
        ModelCase{"hat",
                  TestTensors{{"conv_first.weight", {180, 3, 3, 3}},
                              {"layers.0.residual_group.overlap_attn.relative_position_bias_table",
                               {1, 6}}},
                  "upscaler",
                  {"hat"}},
        ModelCase{"dat",
                  TestTensors{{"conv_first.weight", {180, 3, 3, 3}},
                              {"layers.0.blocks.0.attn.attns.0.pos.pos_proj.weight", {2, 2}}},
                  "upscaler",
                  {"dat"}}),
    LabelOf);

// A LoRA of one layer, in several ways to name it.
TestTensors Kohya(const std::string& layer, uint64_t in, uint64_t out) {
  return {{layer + ".lora_down.weight", {16, in}},
          {layer + ".lora_up.weight", {out, 16}},
          {layer + ".alpha", {}}};
}
TestTensors Peft(const std::string& layer, uint64_t in, uint64_t out) {
  return {{layer + ".lora_A.weight", {16, in}}, {layer + ".lora_B.weight", {out, 16}}};
}
const std::string kKohyaXl = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k";
const std::string kKohyaSd = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
const std::string kHubSd = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2";

INSTANTIATE_TEST_SUITE_P(
    Loras, IdentifyModelTest,
    testing::Values(
        ModelCase{"kohya_sd1", Kohya(kKohyaSd, 768, 320), "lora", {"sd1"}, {"sd1"}},
        ModelCase{"kohya_sd2", Kohya(kKohyaSd, 1024, 320), "lora", {"sd2"}, {"sd2"}},
        ModelCase{"kohya_sdxl", Kohya(kKohyaXl, 2048, 640), "lora", {"sdxl"}, {"sdxl"}},
        ModelCase{"diffusers_processor",
                  TestTensors{{kHubSd + ".processor.to_k_lora.down.weight", {4, 768}},
                              {kHubSd + ".processor.to_k_lora.up.weight", {320, 4}}},
                  "lora",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"diffusers_lora",
                  TestTensors{{kHubSd + ".to_k.lora.down.weight", {4, 768}},
                              {kHubSd + ".to_k.lora.up.weight", {320, 4}}},
                  "lora",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{
            "peft_sdxl",
            Peft("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", 2048, 640),
            "lora",
            {"sdxl"},
            {"sdxl"}},
        ModelCase{"peft_named",
                  TestTensors{{kHubSd + ".to_k.lora_A.default.weight", {4, 1024}},
                              {kHubSd + ".to_k.lora_B.default.weight", {320, 4}}},
                  "lora",
                  {"sd2"},
                  {"sd2"}},
        ModelCase{"transformers_layer",
                  TestTensors{{"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_"
                               "linear_layer.down.weight",
                               {4, 768}},
                              {"text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_"
                               "linear_layer.up.weight",
                               {768, 4}}},
                  "lora",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"text_encoder_2",
                  Kohya("lora_te2_text_model_encoder_layers_0_mlp_fc1", 1280, 5120),
                  "lora",
                  {"sdxl"},
                  {"sdxl"}},
        ModelCase{"loha",
                  TestTensors{{kKohyaSd + ".hada_w1_a", {320, 4}},
                              {kKohyaSd + ".hada_w1_b", {4, 768}},
                              {kKohyaSd + ".hada_w2_a", {320, 4}},
                              {kKohyaSd + ".hada_w2_b", {4, 768}}},
                  "lora",
                  {"sd1"},
                  {"sd1"}},
        ModelCase{"lokr_by_blocks",
                  TestTensors{
                      {"lycoris_down_blocks_2_attentions_0_transformer_blocks_5_ff_net_2.lokr_w1",
                       {8, 8}},
                      {"lycoris_down_blocks_2_attentions_0_transformer_blocks_5_ff_net_2.lokr_w2_a",
                       {8, 8}}},
                  "lora",
                  {"sdxl"},
                  {"sdxl"}},
        ModelCase{
            "oft",
            TestTensors{
                {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_k.oft_blocks",
                 {4, 80, 80}}},
            "lora",
            {"sd1"},
            {"sd1"}},
        ModelCase{
            "glora",
            TestTensors{
                {kKohyaXl + ".a1.weight", {4, 4}},
                {kKohyaXl + ".a2.weight", {4, 4}},
                {kKohyaXl + ".b1.weight", {4, 4}},
                {kKohyaXl + ".b2.weight", {4, 4}},
                {"lora_unet_input_blocks_7_1_transformer_blocks_9_attn1_to_k.a1.weight", {4, 4}}},
            "lora",
            {"sdxl"},
            {"sdxl"}},
        ModelCase{"dora",
                  Kohya(kKohyaXl, 2048, 640) + TestTensors{{kKohyaXl + ".dora_scale", {640, 1}}},
                  "lora",
                  {"sdxl"},
                  {"sdxl"}},
        ModelCase{"full_difference",
                  TestTensors{{"diffusion_model.blocks.0.self_attn.q.diff", {1536, 1536}},
                              {"diffusion_model.blocks.0.self_attn.q.diff_b", {1536}}},
                  "lora",
                  {"wan2.1-1.3b"},
                  {"wan2.1-1.3b"}},
        ModelCase{"flux_ambiguous",
                  Kohya("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072),
                  "lora",
                  {"flux.1", "flux.2-klein-4b"},
                  {"flux.1"}},
        ModelCase{"flux1_by_mlp",
                  Kohya("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072) +
                      Kohya("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288),
                  "lora",
                  {"flux.1"},
                  {"flux.1"}},
        ModelCase{"flux2_klein_by_mlp",
                  Peft("diffusion_model.double_blocks.0.img_attn.proj", 3072, 3072) +
                      Peft("diffusion_model.double_blocks.0.img_mlp.0", 3072, 18432),
                  "lora",
                  {"flux.2-klein-4b"},
                  {"flux.2-klein-4b"}},
        ModelCase{"flux2_klein_9b",
                  Peft("diffusion_model.double_blocks.0.img_attn.proj", 4096, 4096),
                  "lora",
                  {"flux.2-klein-9b"},
                  {"flux.2-klein-9b"}},
        ModelCase{"flux2_dev",
                  Peft("diffusion_model.double_blocks.0.img_attn.proj", 6144, 6144),
                  "lora",
                  {"flux.2-dev"},
                  {"flux.2-dev"}},
        ModelCase{"flux1_diffusers",
                  Peft("transformer.single_transformer_blocks.0.attn.to_q", 3072, 3072),
                  "lora",
                  {"flux.1"},
                  {"flux.1"}},
        ModelCase{"bfl_control",
                  Peft("img_in", 128, 3072) +
                      TestTensors{{"double_blocks.0.img_attn.norm.key_norm.scale", {128}}} +
                      Peft("double_blocks.0.img_attn.proj", 3072, 3072),
                  "lora",
                  {"flux.1-control"},
                  {"flux.1"}},
        ModelCase{"hunyuan_video",
                  Kohya("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072) +
                      Kohya("lora_unet_txt_in_individual_token_refiner_blocks_0_mlp_0", 3072, 3072),
                  "lora",
                  {"hunyuan-video"},
                  {"hunyuan-video"}},
        ModelCase{"sd3",
                  Peft("transformer.transformer_blocks.0.attn.add_k_proj", 1536, 1536),
                  "lora",
                  {"sd3"},
                  {"sd3"}},
        ModelCase{"qwen_image",
                  Peft("transformer.transformer_blocks.0.attn.add_k_proj", 3072, 3072),
                  "lora",
                  {"qwen-image"},
                  {"qwen-image"}},
        ModelCase{"z_image",
                  Peft("diffusion_model.layers.0.attention.to_q", 3840, 3840),
                  "lora",
                  {"z-image"},
                  {"z-image"}},
        ModelCase{"wan_14b",
                  Peft("diffusion_model.blocks.0.cross_attn.k", 5120, 5120),
                  "lora",
                  {"wan2.1-14b", "wan2.2-14b"},
                  {"wan2.1-14b"}},
        ModelCase{"wan_i2v_with_patch_embedding",
                  Peft("diffusion_model.blocks.0.self_attn.q", 5120, 5120) +
                      Peft("diffusion_model.blocks.0.cross_attn.k_img", 5120, 5120) +
                      TestTensors{{"diffusion_model.patch_embedding.weight", {5120, 36, 1, 2, 2}},
                                  {"diffusion_model.head.modulation", {1, 2, 5120}}},
                  "lora",
                  {"wan2.1-14b-i2v"},
                  {"wan2.1-14b"}},
        ModelCase{"metadata_says_base",
                  Kohya("lora_unet_something_new", 64, 64),
                  "lora",
                  {"sdxl"},
                  {"sdxl"},
                  "",
                  {{"ss_base_model_version", "sdxl_base_v1-0"}}},
        ModelCase{"llm",
                  Peft("base_model.model.model.layers.0.self_attn.q_proj", 4096, 4096),
                  "lora",
                  {},
                  {}},
        ModelCase{"gguf_adapter",
                  TestTensors{{"blk.0.attn_q.weight.lora_a", {16, 64}},
                              {"blk.0.attn_q.weight.lora_b", {64, 16}}},
                  "lora",
                  {"llama"},
                  {"llama"},
                  "",
                  {{"general.architecture", "llama"}, {"general.type", "adapter"}}}),
    LabelOf);

// The traps: what looks like one thing and is another.
INSTANTIATE_TEST_SUITE_P(
    Traps, IdentifyModelTest,
    testing::Values(
        ModelCase{"main_model_with_loras",
                  Wan(5120, 16) + Peft("blocks.0.self_attn.q", 5120, 5120) +
                      Peft("blocks.1.self_attn.q", 5120, 5120) +
                      Peft("blocks.2.self_attn.q", 5120, 5120),
                  "diffusion_model",
                  {"wan2.1-t2v-14b", "wan2.2-t2v-14b"},
                  kParts},
        ModelCase{"unknown_main_model_with_a_lora",
                  TestTensors{{"a.weight", {8, 8}}, {"b.weight", {8, 8}}, {"c.weight", {8, 8}}} +
                      Peft("a", 8, 8),
                  "model",
                  {}},
        ModelCase{"scales_beside_weights",
                  Flux(64) +
                      TestTensors{{"double_blocks.0.img_attn.qkv.scale", {}}, {"txt_in.scale", {}}},
                  "diffusion_model",
                  {"flux.1-dev"},
                  kParts},
        ModelCase{"patch_embedding_alone",
                  TestTensors{{"patch_embedding.weight", {5120, 16, 1, 2, 2}},
                              {"text_embedding.0.weight", {5120, 4096}}},
                  "model",
                  {}},
        ModelCase{"glora_words_in_a_model",
                  TestTensors{{"a1.weight", {8, 8}}, {"b2.weight", {8, 8}}},
                  "model",
                  {}},
        ModelCase{"few_tensors_of_768",
                  TestTensors{{"layer.weight", {768, 768}}, {"layer.bias", {768}}},
                  "model",
                  {}},
        ModelCase{"nothing", {}, "model", {}}),
    LabelOf);

Identification IdentifyTensors(const TestTensors& tensors, ModelEvidence evidence = {}) {
  const TensorTable table = TableOf(tensors);
  const TensorTable* const tables[] = {&table};
  evidence.tensors = tables;
  return Identify(evidence);
}

TEST(IdentifyTest, EvidenceNamesKeysAndShapes) {
  const Identification found = IdentifyTensors(Unet(768, 9));
  ASSERT_EQ(found.architectures.size(), 1u);
  EXPECT_THAT(found.architectures[0].evidence,
              ElementsAre("input_blocks.0.0.weight [320, 9, 3, 3]",
                          "input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight [320, 768]"));
}

TEST(IdentifyTest, MoreEvidenceIsMoreConfidence) {
  const auto ambiguous =
      IdentifyTensors(Kohya("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072));
  ASSERT_EQ(ambiguous.architectures.size(), 2u);
  EXPECT_LT(ambiguous.architectures[0].confidence, 0.75);
  EXPECT_GE(ambiguous.architectures[0].confidence, ambiguous.architectures[1].confidence);
  const auto clear = IdentifyTensors(Kohya("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288));
  EXPECT_GT(clear.architectures[0].confidence, 0.9);
  EXPECT_THAT(clear.architectures[0].evidence[0], HasSubstr("kohya"));
}

TEST(IdentifyTest, ACheckpointNeedsWhatIsNotInIt) {
  const TestTensors unet = Prefixed("model.diffusion_model.", Unet(768));
  const TestTensors vae = Prefixed("first_stage_model.", Vae({512, 4, 3, 3}));
  const TestTensors text = Prefixed("cond_stage_model.transformer.", Clip(11));
  const Identification without_text = IdentifyTensors(unet + vae);
  EXPECT_EQ(without_text.kind, "checkpoint");
  EXPECT_THAT(without_text.requires_models, ElementsAre("text_encoder"));
  const Identification whole = IdentifyTensors(unet + vae + text);
  EXPECT_EQ(whole.kind, "checkpoint");
  EXPECT_EQ(whole.architectures[0].name, "sd1");
  EXPECT_THAT(whole.requires_models, IsEmpty());
}

TEST(IdentifyTest, AGraphIsAModel) {
  EXPECT_EQ(IdentifyTensors(Unet(768), {.format = "onnx"}).kind, "model");
}

TEST(IdentifyTest, ADdufArchiveIsAPipeline) {
  const std::map<std::string, std::string> metadata = {{"_class_name", "FluxPipeline"}};
  const Identification found =
      IdentifyTensors(Prefixed("transformer/", HubFlux(64)) + Prefixed("text_encoder/", Clip(11)),
                      {.format = "dduf", .metadata = &metadata});
  EXPECT_EQ(found.kind, "pipeline");
  EXPECT_EQ(found.architectures[0].name, "flux.1-dev");
  EXPECT_EQ(IdentifyTensors({{"unet/w", {1}}}, {.format = "dduf", .metadata = &metadata})
                .architectures[0]
                .name,
            "flux.1");
}

struct ConfigCase {
  std::string class_name;
  std::string model_type;
  TestTensors tensors;
  std::string kind;
  std::string architecture;
};

TEST(IdentifyTest, ConfigurationsOfFolders) {
  const std::vector<ConfigCase> cases = {
      {"LlamaForCausalLM", "llama", Llm({}, 4096), "llm", "llama"},
      {"MistralForCausalLM", "mistral", Llm({}, 4096), "llm", "mistral"},
      {"Qwen3ForCausalLM", "qwen3", Llm(kQNorm, 2560), "llm", "qwen3-4b"},
      {"GPT2LMHeadModel", "gpt2", {{"h.0.attn.c_attn.weight", {8, 24}}}, "llm", "gpt2"},
      {"CLIPTextModel", "clip_text_model", Clip(11), "text_encoder", "clip-l"},
      {"CLIPTextModelWithProjection", "", Clip(1), "text_encoder", "clip-l"},
      {"T5EncoderModel", "t5", T5(4096), "text_encoder", "t5-xxl"},
      {"BertModel",
       "bert",
       {{"embeddings.word_embeddings.weight", {9, 8}}},
       "text_encoder",
       "bert"},
      {"CLIPVisionModelWithProjection",
       "clip_vision_model",
       {{"vision_model.x", {1}}},
       "clip_vision",
       "clip_vision_model"},
      {"ViTForImageClassification", "vit", {{"vit.x", {1}}}, "vision", "vit"},
      {"WhisperForConditionalGeneration", "whisper", {{"model.x", {1}}}, "audio", "whisper"},
      {"Qwen2_5_VLForConditionalGeneration",
       "qwen2_5_vl",
       {{"visual.x", {1}}},
       "llm",
       "qwen2_5_vl"},
      {"FluxTransformer2DModel", "", {{"x", {1}}}, "diffusion_model", "flux.1"},
      {"FluxTransformer2DModel", "", HubFlux(64), "diffusion_model", "flux.1-dev"},
      {"UNet2DConditionModel", "", HubUnet("down_blocks.0", 1024), "diffusion_model", "sd2"},
      {"AutoencoderKL", "", Vae({512, 32, 3, 3}), "vae", "flux.2-vae"},
      {"AutoencoderTiny", "", {{"x", {1}}}, "vae_approx", "taesd"},
      {"ControlNetModel", "", HubUnet("down_blocks.0", 768) + kCondition, "controlnet", "sd1"},
      {"", "falcon", {{"x", {1}}}, "model", "falcon"},
      {"SomethingNew", "", {{"x", {1}}}, "model", "SomethingNew"},
      {"AutoencoderKL", "", {{"decoder.w", {8}}}, "vae", "AutoencoderKL"},
      {"bad\nclass", "", {{"x", {1}}}, "model", ""},
  };
  for (const ConfigCase& test : cases) {
    SCOPED_TRACE(test.class_name + " " + test.model_type);
    const Identification found = IdentifyTensors(
        test.tensors, {.class_name = test.class_name, .model_type = test.model_type});
    EXPECT_EQ(found.kind, test.kind);
    EXPECT_EQ(found.architectures.empty() ? "" : found.architectures[0].name, test.architecture);
    EXPECT_THAT(found.disagreements, IsEmpty());
  }
}

TEST(IdentifyTest, TensorsThatDisagreeWithTheConfigurationAreNoted) {
  const Identification found = IdentifyTensors(Unet(768), {.class_name = "AutoencoderKL"});
  EXPECT_EQ(found.kind, "vae");
  ASSERT_EQ(found.disagreements.size(), 1u);
  EXPECT_THAT(found.disagreements[0], HasSubstr("AutoencoderKL, but the tensors"));
}

TEST(IdentifyTest, ALanguageModelInAPipelineIsItsTextEncoder) {
  const Identification found = IdentifyTensors(
      Llm(kQNorm, 2560), {.class_name = "Qwen3ForCausalLM", .folder = "text_encoder"});
  EXPECT_EQ(found.type, "text_encoder");
  EXPECT_EQ(found.architectures[0].name, "qwen3-4b");
  EXPECT_EQ(IdentifyTensors({{"x", {1}}}, {.class_name = "Odd", .folder = "image_encoder_2"}).type,
            "image_encoder");
}

TEST(IdentifyTest, Pipelines) {
  struct PipelineCase {
    std::string class_name;
    TestTensors denoiser;
    std::string component;
    std::vector<std::string> architectures;
    size_t disagreements = 0;
  };
  const std::vector<PipelineCase> cases = {
      {"StableDiffusionPipeline", {}, "UNet2DConditionModel", {"sd1", "sd2"}},
      {"StableDiffusionPipeline", HubUnet("down_blocks.0", 1024), "UNet2DConditionModel", {"sd2"}},
      {"StableDiffusionInpaintPipeline",
       HubUnet("down_blocks.0", 768, 9),
       "UNet2DConditionModel",
       {"sd1-inpaint"}},
      {"StableDiffusionXLPipeline", {}, "UNet2DConditionModel", {"sdxl"}},
      {"StableDiffusion3Pipeline", HubSd3(37), "SD3Transformer2DModel", {"sd3.5-large"}},
      {"FluxPipeline", {}, "FluxTransformer2DModel", {"flux.1"}},
      {"FluxPipeline", HubFlux(64, false), "FluxTransformer2DModel", {"flux.1-schnell"}},
      {"FluxFillPipeline", HubFlux(384), "FluxTransformer2DModel", {"flux.1-fill"}},
      {"WanPipeline", HubWan(3072, 48), "WanTransformer3DModel", {"wan2.2-ti2v-5b"}},
      {"QwenImageEditPipeline", QwenImage(), "QwenImageTransformer2DModel", {"qwen-image-edit"}},
      {"NewPipeline", HubFlux(64), "FluxTransformer2DModel", {"flux.1-dev"}},
      {"NewPipeline", {}, "NewTransformer2DModel", {"NewPipeline"}},
      {"StableDiffusionXLPipeline",
       HubUnet("down_blocks.0", 768),
       "UNet2DConditionModel",
       {"sd1", "sdxl"},
       1},
  };
  for (const PipelineCase& test : cases) {
    SCOPED_TRACE(test.class_name + " " + test.component);
    std::vector<PipelinePart> parts;
    parts.push_back({"text_encoder", {}});
    Identification part =
        IdentifyTensors(test.denoiser, {.class_name = test.component, .folder = "transformer"});
    parts.push_back({part.type, std::move(part)});
    const Identification found = IdentifyPipeline(test.class_name, parts);
    EXPECT_EQ(found.kind, "pipeline");
    std::vector<std::string> names;
    for (const Architecture& each : found.architectures) names.push_back(each.name);
    EXPECT_EQ(names, test.architectures);
    EXPECT_EQ(found.disagreements.size(), test.disagreements);
  }
}

std::vector<std::string> Groups(const TestTensors& tensors,
                                std::string_view format = "safetensors") {
  const TensorTable table = TableOf(tensors);
  std::vector<std::string> names;
  size_t members = 0;
  for (const TensorGroup& group : GroupTensors(table, format)) {
    names.push_back(group.name + ":" + group.type);
    members += group.tensors.size();
  }
  EXPECT_EQ(members, table.size());
  return names;
}

TEST(GroupTensorsTest, CheckpointsComeApart) {
  const TestTensors xl = Prefixed("model.diffusion_model.", UnetXl()) +
                         Prefixed("first_stage_model.", Vae({512, 4, 3, 3})) +
                         Prefixed("conditioner.embedders.1.model.", {{"ln_final.weight", {1280}}}) +
                         Prefixed("conditioner.embedders.0.transformer.", Clip(11)) +
                         TestTensors{{"alphas_cumprod", {1000}}} +
                         Prefixed("model_ema.", {{"diffusion_modelinput_blocks00weight", {1, 1}}});
  EXPECT_THAT(Groups(xl), ElementsAre("unet:unet", "vae:vae", "text_encoder:text_encoder",
                                      "text_encoder_2:text_encoder", "other:other", "ema:ema"));
  EXPECT_EQ(Groups(Prefixed("state_dict.", xl)), Groups(xl));
  for (const auto& [denoiser, type] : {std::pair{Flux(64), "transformer"},
                                       {Wan(5120, 16), "transformer"},
                                       {Sd3(36864, 2432, 37), "transformer"}}) {
    const TestTensors checkpoint = Prefixed("model.diffusion_model.", denoiser) +
                                   Prefixed("vae.", Vae({512, 16, 3, 3})) +
                                   Prefixed("text_encoders.t5xxl.transformer.", T5(4096)) +
                                   Prefixed("text_encoders.clip_l.transformer.", Clip(11));
    EXPECT_THAT(Groups(checkpoint),
                ElementsAre(std::string(type) + ":" + type, "vae:vae", "text_encoder:text_encoder",
                            "text_encoder_2:text_encoder"));
  }
}

TEST(GroupTensorsTest, TheRestIsNamedByWhatItIs) {
  EXPECT_THAT(Groups(Prefixed("net.", Wan(5120, 16)) + Prefixed("vae.", Vae({512, 16, 3, 3}))),
              ElementsAre("vae:vae", "transformer:transformer"));
}

TEST(GroupTensorsTest, ADdufArchiveComesApartByFolder) {
  EXPECT_THAT(
      Groups(Prefixed("transformer/", HubFlux(64)) + Prefixed("vae/", Vae({512, 16, 3, 3})) +
                 Prefixed("text_encoder/", Clip(11)) + Prefixed("text_encoder_2/", T5(4096)),
             "dduf"),
      ElementsAre("text_encoder:text_encoder", "text_encoder_2:text_encoder",
                  "transformer:transformer", "vae:vae"));
  EXPECT_THAT(Groups({{"a/w", {1}}, {"b/w", {1}}}), ElementsAre("model:model"));
}

TEST(GroupTensorsTest, ALoraStaysTogether) {
  EXPECT_THAT(Groups(Peft("diffusion_model.blocks.0.self_attn.q", 5120, 5120) +
                     Peft("text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.k",
                          64, 64)),
              ElementsAre("model:lora"));
}

TEST(GroupTensorsTest, ALargeNumberOfPartsIsNoReasonToMakeThem) {
  TestTensors tensors;
  for (int i = 0; i < 5000; ++i)
    tensors.push_back({"text_encoders.x" + std::to_string(i) + ".w", {1}});
  EXPECT_LE(Groups(tensors).size(), 33u);
}

TEST(RulesTest, AllCanBeRead) {
  EXPECT_THAT(TensorRules().mistakes(), IsEmpty());
  EXPECT_THAT(LayerRules().mistakes(), IsEmpty());
}

TEST(RulesTest, TypesAreKnown) {
  for (const RuleTable& table : {DenoiserRules(), EncoderRules(), AdapterRules(), LoraRules()}) {
    for (const ModelRule& rule : table.models) {
      EXPECT_EQ(RowOfType(rule.type).type, rule.type) << rule.when;
      EXPECT_GT(rule.confidence, 0);
      EXPECT_LT(rule.confidence, 1);
    }
  }
}

TEST(OverrideTest, TheUsersWordComesFirst) {
  Manifest manifest;
  manifest.kind = "lora";
  manifest.architectures = {{"flux.1", .6, {"a"}}, {"flux.2-klein-4b", .5, {"b"}}};
  manifest.requires_models = {"flux.1"};
  ApplyOverride({}, manifest);
  EXPECT_EQ(manifest.architecture().name, "flux.1");

  ApplyOverride({.kind = "", .architecture = "flux.2-klein-4b"}, manifest);
  EXPECT_EQ(manifest.kind, "lora");
  EXPECT_EQ(manifest.architecture(), (Architecture{"flux.2-klein-4b", 1, {"set by the user"}}));
  EXPECT_EQ(manifest.architectures.size(), 2u);
  EXPECT_THAT(manifest.requires_models, ElementsAre("flux.2-klein-4b"));

  ApplyOverride({.kind = "upscaler", .architecture = ""}, manifest);
  EXPECT_EQ(manifest.kind, "upscaler");
  EXPECT_THAT(manifest.requires_models, IsEmpty());
}

TEST(OverrideTest, IsChecked) {
  EXPECT_THAT(ModelKinds(), Contains("checkpoint"));
  EXPECT_THAT(ModelKinds(), Contains("clip_vision"));
  EXPECT_TRUE(ValidateOverride({.kind = "style_model", .architecture = "mine"}).ok());
  EXPECT_EQ(CodeOf(ValidateOverride({.kind = "stile_model", .architecture = ""})),
            ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(ValidateOverride({.kind = "", .architecture = "a\x1b"})),
            ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace warmset

// For tests only: models by a few decisive tensors of theirs, keys and shapes as in
// the real ones.
#pragma once

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "inspect/identify/test_tensors.h"

namespace warmset {

struct ModelCase {
  std::string label;
  TestTensors tensors;
  std::string kind;
  std::vector<std::string> architectures;  // likeliest first
  std::vector<std::string> needs = {};
  std::string file_name = "";
  std::map<std::string, std::string> metadata = {};
};

inline void PrintTo(const ModelCase& test, std::ostream* out) { *out << test.label; }

class IdentifyModelTest : public testing::TestWithParam<ModelCase> {};

inline std::string LabelOf(const testing::TestParamInfo<ModelCase>& info) {
  return info.param.label;
}

inline const std::vector<std::string> kParts = {"text_encoder", "vae"};
inline const std::string kAttn2 = ".transformer_blocks.0.attn2.to_k.weight";
inline const std::string kHubAttn2 = ".attentions.0.transformer_blocks.0.attn2.to_k.weight";

inline TestTensors Unet(uint64_t width, uint64_t channels_in = 4) {
  return {{"input_blocks.0.0.weight", {320, channels_in, 3, 3}},
          {"input_blocks.2.1" + kAttn2, {320, width}},
          {"out.2.weight", {4, 320, 3, 3}}};
}
inline TestTensors UnetXl(uint64_t width = 2048, uint64_t model = 320, uint64_t label = 2816,
                          uint64_t channels_in = 4) {
  return {{"input_blocks.0.0.weight", {model, channels_in, 3, 3}},
          {"input_blocks.4.1" + kAttn2, {2 * model, width}},
          {"label_emb.0.0.weight", {4 * model, label}}};
}
inline TestTensors HubUnet(const std::string& block, uint64_t width, uint64_t channels_in = 4) {
  return {{"conv_in.weight", {320, channels_in, 3, 3}},
          {"conv_out.weight", {4, 320, 3, 3}},
          {block + kHubAttn2, {320, width}}};
}

inline TestTensors Sd3(uint64_t positions, uint64_t width, int last_block) {
  return {{"joint_blocks.0.context_block.attn.qkv.weight", {3 * width, width}},
          {"joint_blocks.0.context_block.adaLN_modulation.1.bias", {6 * width}},
          {"joint_blocks." + std::to_string(last_block) + ".x_block.attn.qkv.weight",
           {3 * width, width}},
          {"pos_embed", {1, positions, width}},
          {"x_embedder.proj.weight", {width, 16, 2, 2}}};
}
inline TestTensors HubSd3(int last_block) {
  return {{"transformer_blocks.0.attn.add_q_proj.weight", {1536, 1536}},
          {"transformer_blocks." + std::to_string(last_block) + ".attn.to_q.weight", {1536, 1536}},
          {"pos_embed.proj.weight", {1536, 16, 2, 2}}};
}
inline TestTensors Flux(uint64_t in, bool guidance = true, const std::string& norm = "scale") {
  TestTensors tensors = {{"double_blocks.0.img_attn.norm.key_norm." + norm, {128}},
                         {"double_blocks.0.img_attn.qkv.weight", {9216, 3072}},
                         {"img_in.weight", {3072, in}},
                         {"txt_in.weight", {3072, 4096}}};
  if (guidance) tensors.push_back({"guidance_in.in_layer.weight", {3072, 256}});
  return tensors;
}
inline TestTensors HubFlux(uint64_t in, bool guidance = true) {
  TestTensors tensors = {{"transformer_blocks.0.attn.add_k_proj.weight", {3072, 3072}},
                         {"single_transformer_blocks.0.attn.to_q.weight", {3072, 3072}},
                         {"x_embedder.weight", {3072, in}}};
  if (guidance)
    tensors.push_back({"time_text_embed.guidance_embedder.linear_1.weight", {3072, 256}});
  return tensors;
}
inline TestTensors Flux2(uint64_t text) {
  return Flux(128) +
         TestTensors{{"double_stream_modulation_img.lin.weight", {36864, 6144}},
                     {"txt_in.weight.", {0}}} +
         TestTensors{{"txt_in.weight", {6144, text}}};
}
inline TestTensors Wan(uint64_t width, uint64_t in) {
  return {{"blocks.0.self_attn.q.weight", {width, width}},
          {"head.modulation", {1, 2, width}},
          {"patch_embedding.weight", {width, in, 1, 2, 2}},
          {"text_embedding.0.weight", {width, 4096}}};
}
inline TestTensors HubWan(uint64_t width, uint64_t in) {
  return {{"blocks.0.attn1.to_q.weight", {width, width}},
          {"condition_embedder.text_embedder.linear_1.weight", {width, 4096}},
          {"patch_embedding.weight", {width, in, 1, 2, 2}}};
}
inline TestTensors QwenImage() {
  return {{"txt_norm.weight", {3584}},
          {"txt_in.weight", {3072, 3584}},
          {"img_in.weight", {3072, 64}},
          {"transformer_blocks.0.attn.add_k_proj.weight", {3072, 3072}}};
}

inline TestTensors Clip(int last) {
  return {{"text_model.encoder.layers.0.mlp.fc1.weight", {3072, 768}},
          {"text_model.encoder.layers." + std::to_string(last) + ".mlp.fc1.weight", {3072, 768}}};
}
inline TestTensors DeepClip(int last) { return Clip(22) + Clip(last); }
inline TestTensors T5(uint64_t width, const std::string& wi = "wi_1") {
  return {{"encoder.block.23.layer.1.DenseReluDense." + wi + ".weight", {10240, width}},
          {"encoder.block.0.layer.0.SelfAttention.k.weight", {width, width}}};
}
inline TestTensors Llm(const TestTensors& more, uint64_t width) {
  return Prefixed("model.", TestTensors{{"embed_tokens.weight", {1000, width}},
                                        {"layers.0.self_attn.q_proj.weight", {width, width}},
                                        {"layers.0.mlp.gate_proj.weight", {width, width}},
                                        {"norm.weight", {width}}} +
                                more);
}
inline const TestTensors kQNorm = {{"layers.0.self_attn.q_norm.weight", {128}}};
inline const TestTensors kGemma = {{"layers.0.post_feedforward_layernorm.weight", {1}}};

inline TestTensors Vae(std::vector<uint64_t> conv_in) {
  return {{"decoder.conv_in.weight", std::move(conv_in)},
          {"encoder.conv_out.weight", {8, 512, 3, 3}}};
}
inline const TestTensors kNativeWanVae = {{"decoder.middle.0.residual.0.gamma", {384, 1, 1, 1}}};

inline const TestTensors kHint = {{"input_hint_block.0.weight", {16, 3, 3, 3}}};
inline const TestTensors kCondition = {{"controlnet_cond_embedding.conv_in.weight", {16, 3, 3, 3}}};
inline const TestTensors kControlBlock = {{"controlnet_blocks.0.weight", {3072, 3072}}};

// A LoRA of one layer, in several ways to name it.
inline TestTensors Kohya(const std::string& layer, uint64_t in, uint64_t out) {
  return {{layer + ".lora_down.weight", {16, in}},
          {layer + ".lora_up.weight", {out, 16}},
          {layer + ".alpha", {}}};
}
inline TestTensors Peft(const std::string& layer, uint64_t in, uint64_t out) {
  return {{layer + ".lora_A.weight", {16, in}}, {layer + ".lora_B.weight", {out, 16}}};
}
inline const std::string kKohyaXl = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k";
inline const std::string kKohyaSd =
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
inline const std::string kHubSd = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2";

}  // namespace warmset

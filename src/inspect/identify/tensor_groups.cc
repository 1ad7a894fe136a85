#include "inspect/identify/tensor_groups.h"

#include <algorithm>
#include <array>
#include <compare>
#include <map>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>

namespace warmset {
namespace {

// Where a tensor belongs; sorts in the order that components are listed in.
struct Group {
  int rank = 0;       // of its kind
  std::string label;  // tells text encoders apart, in their order
  friend auto operator<=>(const Group&, const Group&) = default;
};
enum Rank { kDiffusion, kVae, kTextEncoder, kControlNet, kOther };

constexpr std::string_view kDiffusionPrefix = "model.diffusion_model.";

bool StartsWithAny(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [name](std::string_view prefix) { return name.starts_with(prefix); });
}

// "0" of "conditioner.embedders.0.transformer..." after the prefix.
std::string_view FirstPart(std::string_view rest) { return rest.substr(0, rest.find('.')); }

Group GroupOf(std::string_view name) {
  constexpr std::string_view kEmbedders = "conditioner.embedders.";
  constexpr std::string_view kTextEncoders = "text_encoders.";
  if (name.starts_with(kDiffusionPrefix)) return {kDiffusion, ""};
  if (StartsWithAny(name, {"first_stage_model.", "vae."})) return {kVae, ""};
  if (name.starts_with("cond_stage_model.")) return {kTextEncoder, ""};
  if (name.starts_with(kEmbedders)) {
    std::string number(FirstPart(name.substr(kEmbedders.size())));
    if (number.size() < 3) number.insert(0, 3 - number.size(), '0');
    return {kTextEncoder, "embedder " + number};
  }
  if (name.starts_with(kTextEncoders)) {
    const std::string_view encoder = FirstPart(name.substr(kTextEncoders.size()));
    // The order that diffusers gives them: CLIP-L, CLIP-G, then the large ones.
    const char order = encoder == "clip_l" ? '0' : encoder == "clip_g" ? '1' : '2';
    return {kTextEncoder, std::string("encoder ") + order + std::string(encoder)};
  }
  if (name.starts_with("control_model.")) return {kControlNet, ""};
  return {kOther, ""};
}

// A denoiser by its blocks' names, without the checkpoint's prefix.
std::optional<std::string_view> DenoiserType(std::string_view name) {
  if (StartsWithAny(name, {"input_blocks.", "down_blocks."})) return "unet";
  if (StartsWithAny(name, {"double_blocks.", "single_blocks.", "joint_blocks.",
                           "transformer_blocks.", "single_transformer_blocks."})) {
    return "transformer";
  }
  return std::nullopt;
}

std::string DenoiserType(const TensorTable& tensors, const std::vector<uint32_t>& members) {
  for (const uint32_t i : members) {
    const auto type = DenoiserType(tensors[i].name.substr(kDiffusionPrefix.size()));
    if (type) return std::string(*type);
  }
  return "unet";
}

bool IsLoraTensor(std::string_view name) {
  constexpr std::array<std::string_view, 6> kMarks = {".lora_down.", ".lora_up.",   ".lora_A.",
                                                      ".lora_B.",    ".lora.down.", ".lora.up."};
  return std::any_of(kMarks.begin(), kMarks.end(), [name](std::string_view mark) {
    return name.find(mark) != std::string_view::npos;
  });
}

// Main models may carry a few LoRA tensors: most of the matrices must be such.
bool IsLora(const TensorTable& tensors) {
  size_t lora = 0;
  size_t others = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TensorView tensor = tensors[i];
    if (IsLoraTensor(tensor.name)) {
      ++lora;
    } else if (tensor.shape.size() >= 2) {
      ++others;
    }
  }
  return lora > others;
}

std::string TypeOfGroup(const Group& group, const TensorTable& tensors,
                        const std::vector<uint32_t>& members) {
  switch (group.rank) {
    case kDiffusion:
      return DenoiserType(tensors, members);
    case kVae:
      return "vae";
    case kTextEncoder:
      return "text_encoder";
    case kControlNet:
      return "controlnet";
    default:
      return "other";
  }
}

std::vector<uint32_t> AllOf(const TensorTable& tensors) {
  std::vector<uint32_t> all(tensors.size());
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

}  // namespace

std::vector<TensorGroup> GroupTensors(const TensorTable& tensors) {
  std::map<Group, std::vector<uint32_t>> groups;
  if (!IsLora(tensors)) {
    for (uint32_t i = 0; i < tensors.size(); ++i) groups[GroupOf(tensors[i].name)].push_back(i);
  }
  std::vector<TensorGroup> named;
  if (groups.size() <= 1) {
    named.push_back({"model", GuessType(tensors), AllOf(tensors)});
    return named;
  }
  std::map<std::string, int> numbers;
  for (auto& [group, members] : groups) {
    const std::string type = TypeOfGroup(group, tensors, members);
    const int number = ++numbers[type];
    std::string name = number == 1 ? type : type + "_" + std::to_string(number);
    named.push_back({std::move(name), type, std::move(members)});
  }
  return named;
}

std::string GuessType(const TensorTable& tensors) {
  if (IsLora(tensors)) return "lora";
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (const auto type = DenoiserType(tensors[i].name)) return std::string(*type);
  }
  if (tensors.empty()) return "model";
  const Group group = GroupOf(tensors[0].name);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (GroupOf(tensors[i].name).rank != group.rank) return "model";
  }
  return group.rank == kOther ? "model" : TypeOfGroup(group, tensors, AllOf(tensors));
}

}  // namespace warmset

// The small JSON files that say what a folder of weights is.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace warmset {

// A config.json.
struct ModelConfig {
  std::string class_name;  // architectures[0], else _class_name, else nothing
  std::string model_type;
  // Settings that make a library load code from the model's repository or from the
  // hub: "auto_map" and the like, where they are set, in order, each once.
  std::vector<std::string> code_settings;
};
// kCorruptedModel when it is no JSON object.
StatusOr<ModelConfig> ParseModelConfig(std::string_view config_json);

// PEFT's adapter_config.json, beside the weights of an adapter.
inline constexpr std::string_view kAdapterConfigName = "adapter_config.json";
struct AdapterConfig {
  std::string base_model;  // base_model_name_or_path: a hub repository or a folder
  std::string peft_type;   // "LORA", "IA3", "PROMPT_TUNING", ...
};
// kCorruptedModel when it is no JSON object.
StatusOr<AdapterConfig> ParseAdapterConfig(std::string_view json);

struct ModelIndex {
  std::string pipeline;                           // _class_name
  std::map<std::string, std::string> components;  // folder → class, without the absent ones
  std::vector<std::string> code_settings;         // as of a config.json
};
// A diffusers model_index.json. kCorruptedModel when it is none.
StatusOr<ModelIndex> ParseModelIndex(std::string_view json);

}  // namespace warmset

#include "inspect/model_config.h"

#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "inspect/json.h"
#include "inspect/shard_index.h"

namespace warmset {
namespace {

constexpr size_t kMaxWord = 200;

constexpr int kMaxConfigDepth = 16;  // settings below that are not the library's

// Names go to terminals and logs: what is no plain word is not taken over.
std::string PlainWord(std::string_view text) {
  const bool plain =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  return plain && text.size() <= kMaxWord ? std::string(text) : std::string();
}

std::string WordAt(const simdjson::dom::object& object, std::string_view key) {
  std::string_view text;
  return object[key].get(text) == simdjson::SUCCESS ? PlainWord(text) : std::string();
}

// Settings by which the transformers and diffusers libraries run code that came
// with a model, or fetch a kernel from the hub.
constexpr std::array<std::string_view, 3> kCodeSettings = {"auto_map", "trust_remote_code",
                                                           "_attn_implementation_internal"};

// False for what switches a setting off: null, false, and an empty value.
bool IsSet(simdjson::dom::element value) {
  bool truth = true;
  std::string_view text;
  simdjson::dom::object object;
  if (value.is_null()) return false;
  if (value.get(truth) == simdjson::SUCCESS) return truth;
  if (value.get(text) == simdjson::SUCCESS) return !text.empty();
  if (value.get(object) == simdjson::SUCCESS) return object.size() != 0;
  return true;
}

// In parts of the configuration, too, such as that of a text encoder within.
void FindCodeSettings(const simdjson::dom::object& object, int max_depth,
                      std::vector<std::string>& found) {
  for (const auto& [key, value] : object) {
    const bool asks =
        std::find(kCodeSettings.begin(), kCodeSettings.end(), key) != kCodeSettings.end();
    if (asks && IsSet(value) && std::find(found.begin(), found.end(), key) == found.end()) {
      found.emplace_back(key);
    }
    simdjson::dom::object part;
    if (max_depth > 0 && value.get(part) == simdjson::SUCCESS) {
      FindCodeSettings(part, max_depth - 1, found);
    }
  }
}

// Keeps the parser, which owns the document.
class ObjectFile {
 public:
  Status Parse(std::string_view text) {
    auto error = parser_.parse(text.data(), text.size()).get(object_);
    if (error == simdjson::SUCCESS) return OkStatus();
    return Error(ErrorCode::kCorruptedModel, JsonErrorText(error));
  }
  const simdjson::dom::object& object() const { return object_; }

 private:
  simdjson::dom::parser parser_;
  simdjson::dom::object object_;
};

}  // namespace

StatusOr<ModelConfig> ParseModelConfig(std::string_view config_json) {
  ObjectFile file;
  RETURN_IF_ERROR(file.Parse(config_json));
  ModelConfig config;
  std::string_view first;
  if (file.object()["architectures"].at(0).get(first) == simdjson::SUCCESS) {
    config.class_name = PlainWord(first);
  }
  if (config.class_name.empty()) config.class_name = WordAt(file.object(), "_class_name");
  config.model_type = WordAt(file.object(), "model_type");
  FindCodeSettings(file.object(), kMaxConfigDepth, config.code_settings);
  return config;
}

StatusOr<AdapterConfig> ParseAdapterConfig(std::string_view json) {
  ObjectFile file;
  RETURN_IF_ERROR(file.Parse(json));
  return AdapterConfig{WordAt(file.object(), "base_model_name_or_path"),
                       WordAt(file.object(), "peft_type")};
}

StatusOr<ModelIndex> ParseModelIndex(std::string_view json) {
  ObjectFile file;
  RETURN_IF_ERROR(file.Parse(json));
  ModelIndex index;
  index.pipeline = WordAt(file.object(), "_class_name");
  // ["module", "Class"]: a pipeline whose code lies beside the model.
  simdjson::dom::array with_module;
  if (file.object()["_class_name"].get(with_module) == simdjson::SUCCESS) {
    std::string_view class_name;
    if (with_module.at(1).get(class_name) == simdjson::SUCCESS) {
      index.pipeline = PlainWord(class_name);
    }
    index.code_settings.emplace_back("_class_name");
  }
  for (const auto& [key, value] : file.object()) {
    // ["library", "Class"]; [null, null] stands for a component left out.
    std::string_view class_name;
    if (key.starts_with('_') || value.at(1).get(class_name) != simdjson::SUCCESS) continue;
    RETURN_IF_ERROR(CheckBareName(key));
    index.components.emplace(key, PlainWord(class_name));
  }
  FindCodeSettings(file.object(), kMaxConfigDepth, index.code_settings);
  return index;
}

}  // namespace warmset

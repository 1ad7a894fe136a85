#include "inspect/model_config.h"

#include <algorithm>
#include <array>

#include "fmt/format.h"
#include "inspect/json.h"
#include "inspect/shard_index.h"

namespace warmset {
namespace {

constexpr size_t kMaxWord = 200;

struct ClassRule {
  std::string_view part;  // of the class's name; the first rule that fits counts
  std::string_view type;
};
// Class names as in the diffusers library's model_index.json files.
constexpr std::array kClassRules = {
    ClassRule{"Scheduler", ""},
    ClassRule{"Tokenizer", ""},
    ClassRule{"ImageProcessor", ""},
    ClassRule{"FeatureExtractor", ""},
    ClassRule{"ControlNet", "controlnet"},
    ClassRule{"SafetyChecker", "safety_checker"},
    ClassRule{"UNet", "unet"},
    ClassRule{"Transformer2DModel", "transformer"},
    ClassRule{"Transformer3DModel", "transformer"},
    ClassRule{"TransformerModel", "transformer"},
    ClassRule{"PriorTransformer", "prior"},
    ClassRule{"Autoencoder", "vae"},
    ClassRule{"VQModel", "vae"},
    ClassRule{"MotionAdapter", "motion_adapter"},
    ClassRule{"T2IAdapter", "t2i_adapter"},
    ClassRule{"Vision", "image_encoder"},
    ClassRule{"CLIPTextModel", "text_encoder"},
    ClassRule{"EncoderModel", "text_encoder"},
    ClassRule{"TextModel", "text_encoder"},
};

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

StatusOr<std::string> ParseArchitecture(std::string_view config_json) {
  ObjectFile file;
  RETURN_IF_ERROR(file.Parse(config_json));
  std::string_view first;
  if (file.object()["architectures"].at(0).get(first) == simdjson::SUCCESS) {
    return PlainWord(first);
  }
  const std::string class_name = WordAt(file.object(), "_class_name");
  return class_name.empty() ? WordAt(file.object(), "model_type") : class_name;
}

StatusOr<ModelIndex> ParseModelIndex(std::string_view json) {
  ObjectFile file;
  RETURN_IF_ERROR(file.Parse(json));
  ModelIndex index;
  index.pipeline = WordAt(file.object(), "_class_name");
  for (const auto& [key, value] : file.object()) {
    // ["library", "Class"]; [null, null] stands for a component left out.
    std::string_view class_name;
    if (key.starts_with('_') || value.at(1).get(class_name) != simdjson::SUCCESS) continue;
    RETURN_IF_ERROR(CheckBareName(key));
    index.components.emplace(key, PlainWord(class_name));
  }
  return index;
}

std::string_view TypeOfClass(std::string_view class_name) {
  for (const auto& [part, type] : kClassRules) {
    if (class_name.find(part) != std::string_view::npos) return type;
  }
  return {};
}

}  // namespace warmset

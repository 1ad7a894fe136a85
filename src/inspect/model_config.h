// The small JSON files that say what a folder of weights is.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/status.h"

namespace warmset {

// What a config.json calls its model: architectures[0], else _class_name, else
// model_type, else nothing. kCorruptedModel when it is no JSON object.
StatusOr<std::string> ParseArchitecture(std::string_view config_json);

struct ModelIndex {
  std::string pipeline;                           // _class_name
  std::map<std::string, std::string> components;  // folder → class, without the absent ones
};
// A diffusers model_index.json. kCorruptedModel when it is none.
StatusOr<ModelIndex> ParseModelIndex(std::string_view json);

// "unet", "transformer", "vae", "text_encoder", ... for a class of the
// transformers or diffusers library; empty for one without weights of its own
// (a scheduler, a tokenizer) or an unknown one.
std::string_view TypeOfClass(std::string_view class_name);

}  // namespace warmset

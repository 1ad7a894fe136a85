// What a model is, told by its headers: never by tensor data or a file's name
// alone.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/manifest.h"
#include "tensor/tensor_table.h"

namespace warmset {

// All there is to go by. Everything belongs to the caller.
struct ModelEvidence {
  std::span<const TensorTable* const> tensors;  // of all files
  std::string_view format;                      // "gguf"
  const std::map<std::string, std::string>* metadata = nullptr;  // of the first file
  std::string_view class_name;  // as config.json or model_index.json says it, or empty
};

struct Identification {
  std::string kind;  // "checkpoint", "lora", ..., "model" when it is not told
  std::vector<Architecture> architectures;
  std::vector<std::string> requires_models;
};

Identification Identify(const ModelEvidence& evidence);

}  // namespace warmset

// Other copies of a model: in another format, precision or quantisation.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "discover/model_summary.h"

namespace warmset {

// What is left of a model's name without its folders, its format, its precision and
// its quantisation: "llama38binstruct" for "org/Llama-3-8B-Instruct-GGUF/
// llama-3-8b-instruct.Q4_K_M.gguf" and for "llama3:8b-instruct-fp16".
std::string NameWithoutPrecision(std::string_view name);

// Those of `all` that can be used in place of a model: usable ones of the same name
// but for format and precision, and of no other architecture or kind. In the order
// of `all`, without the model itself.
std::vector<const ModelSummary*> SimilarModels(const ModelSummary& model,
                                               std::span<const ModelSummary* const> all);

}  // namespace warmset

// What to recommend in place of a model that can't be used.
#pragma once

#include <string>
#include <vector>

#include "daemon/model_registry.h"

namespace warmset {

// Models that may be used and are the same one in another format or precision,
// as far as names, kind and architecture tell; at most five, in no order.
std::vector<const Model*> AlternativesTo(const ModelRegistry& registry, const Model& model);
// Their names.
std::vector<std::string> AlternativesOf(const ModelRegistry& registry, const Model& model);

}  // namespace warmset

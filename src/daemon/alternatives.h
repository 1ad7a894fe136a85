// What to recommend in place of a model that can't be used.
#pragma once

#include <string>
#include <vector>

#include "daemon/model_registry.h"
#include "discover/model_summary.h"

namespace warmset {

// Usable models that are the same one in another format or precision; at most
// five, by name. Valid as the registry's models are.
std::vector<const ModelSummary*> AlternativesTo(const ModelRegistry& registry,
                                                const ModelSummary& model);
std::vector<std::string> NamesOfAlternatives(const ModelRegistry& registry,
                                             const ModelSummary& model);

}  // namespace warmset

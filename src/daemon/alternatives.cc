#include "daemon/alternatives.h"

#include <algorithm>

#include "discover/similar_models.h"

namespace warmset {

std::vector<const ModelSummary*> AlternativesTo(const ModelRegistry& registry,
                                                const ModelSummary& model) {
  constexpr size_t kMaxAlternatives = 5;
  std::vector<const ModelSummary*> all;
  all.reserve(registry.size());
  for (const auto& [name, other] : registry.all()) all.push_back(&other->summary);
  std::vector<const ModelSummary*> similar = SimilarModels(model, all);
  similar.resize(std::min(similar.size(), kMaxAlternatives));
  return similar;
}

std::vector<std::string> NamesOfAlternatives(const ModelRegistry& registry,
                                             const ModelSummary& model) {
  std::vector<std::string> names;
  for (const ModelSummary* other : AlternativesTo(registry, model)) names.push_back(other->name);
  return names;
}

}  // namespace warmset

#include "model/model_snapshot.h"

#include <algorithm>

namespace warmset {

const ModelPart* FindPart(const std::vector<ModelPart>& parts, std::string_view name) {
  const auto found = std::find_if(parts.begin(), parts.end(),
                                  [name](const ModelPart& part) { return part.name == name; });
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace warmset

#include "inspect/identify/identify.h"

#include "inspect/identify/tensor_groups.h"

namespace warmset {

Identification Identify(const ModelEvidence& evidence) {
  Identification found;
  found.kind = evidence.tensors.empty() ? "model" : GuessType(*evidence.tensors.front());
  if (!evidence.class_name.empty()) {
    found.architectures.push_back(
        {std::string(evidence.class_name), 1, {"named by the model's configuration"}});
  }
  return found;
}

}  // namespace warmset

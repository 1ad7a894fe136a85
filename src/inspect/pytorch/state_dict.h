// From a pickle's value to tensors with names.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/pytorch/pickle_heap.h"

namespace warmset {

// Calls `tensor` for each tensor in a value, with its name: the prefix, and the keys
// (pickle_keys.h), places in lists and attributes that lead to it, joined by dots. The
// key "state_dict" at the top is left out, because it only wraps the model beside what
// its training left ("optimizer_states.0..."); other wrappers stay, as a model may have
// several ("params", "params_ema"). Where two would have the same name, the last counts
// if they stand under one key of a dict, else the first, and `twice` is called for the
// other. kCorruptedModel for a value that contains itself or that comes to more than any
// model has; an error of `tensor` ends it.
// Returns, by PickleHeap::TensorIndexOf(), which tensors were met: the others lie in
// sets, in attributes or among the keys of dicts, where a tensor has no name.
using NamedTensorFunction = std::function<Status(std::string_view name, PickleRef tensor)>;
StatusOr<std::vector<bool>> NameTensors(const PickleHeap& heap, PickleRef root,
                                        std::string_view prefix, const NamedTensorFunction& tensor,
                                        const std::function<void(std::string_view name)>& twice);

// The texts and numbers at the top of a dict: what a checkpoint says of itself.
std::map<std::string, std::string> TopLevelFacts(const PickleHeap& heap, PickleRef root);

}  // namespace warmset

// For tests only: tables of a few tensors.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor_table.h"

namespace warmset {

using TestTensors = std::vector<std::pair<std::string, std::vector<uint64_t>>>;

inline TensorTable TableOf(const TestTensors& tensors) {
  TensorTable table;
  for (const auto& [name, shape] : tensors) {
    const Status status =
        table.Add({.name = name, .dtype = DType::kF16, .shape = shape, .strides = {}});
    if (!status.ok()) return {};
  }
  return table;
}

// The same tensors with something in front of their names.
inline TestTensors Prefixed(const std::string& prefix, TestTensors tensors) {
  for (auto& [name, shape] : tensors) name.insert(0, prefix);
  return tensors;
}

inline TestTensors operator+(TestTensors a, const TestTensors& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace warmset

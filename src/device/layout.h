// Where a component's tensors lie in device memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "tensor/tensor_index.h"

namespace warmset {

// Tensors in device memory start at multiples of it: what vector loads and the
// drivers' buffer views ask for at most.
inline constexpr uint64_t kTensorAlignment = 256;

struct LayoutCopy {
  uint64_t from = 0;  // offset in the entry
  uint64_t to = 0;    // offset in the device memory
  uint64_t bytes = 0;
};

struct DeviceLayout {
  uint64_t bytes = 0;              // of device memory, at least 1
  std::vector<LayoutCopy> copies;  // in order of `from`; adjacent ones are joined
  std::string index;               // encoded, with offsets in the device memory
};

// Lays the tensors out in the order of their offsets, so that the entry is read
// front to back; tensors that are the same bytes of the entry stay so. The index
// keeps the entry's order of tensors and its metadata. Gaps between tensors are
// not copied. kCorruptedModel when the tensors together exceed 64 bits.
StatusOr<DeviceLayout> ComputeLayout(const TensorIndex& entry);

}  // namespace warmset

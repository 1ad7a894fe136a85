// Resource limits of this process.
#pragma once

#include <cstdint>

#include "base/status.h"

namespace warmset::os {

enum class Resource { kOpenFiles, kLockedMemory };

// kUnlimited stands for RLIM_INFINITY.
struct Limit {
  static constexpr uint64_t kUnlimited = ~uint64_t{0};
  uint64_t soft = 0;
  uint64_t hard = 0;
};
StatusOr<Limit> GetLimit(Resource resource);

// Makes the soft limit as high as the hard one, which needs no privilege.
Status RaiseSoftLimit(Resource resource);

}  // namespace warmset::os

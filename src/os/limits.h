// Resource limits of this process.
#pragma once

#include <sys/types.h>

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

// How many files another process may have open, and has; kPermissionDenied for a process
// of another user.
StatusOr<uint64_t> OpenFilesLimitOf(pid_t pid);
StatusOr<uint64_t> CountOpenFilesOf(pid_t pid);

// Makes the soft limit as high as the hard one, which needs no privilege.
Status RaiseSoftLimit(Resource resource);

}  // namespace warmset::os

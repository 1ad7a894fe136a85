// What is mounted where.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace warmset::os {

// The mounts at or below an absolute path, as this process sees them: texts that are
// equal as long as the same thing is mounted at the same place. Opens nothing but
// /proc/self/mountinfo, so that a share that hangs does not hold it up.
StatusOr<std::vector<std::string>> MountsBelow(const std::string& path);

}  // namespace warmset::os

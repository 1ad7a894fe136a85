// What tells that a root has become another one without an event of inotify: a drive
// that went and came back, a folder that was removed and made again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace warmset {

struct RootState {
  bool there = false;
  uint64_t device = 0;
  uint64_t inode = 0;
  std::vector<std::string> mounts;  // at it and below

  friend bool operator==(const RootState&, const RootState&) = default;
};

// Looks at the folder itself; blocks while its disk hangs.
RootState LookAtRoot(const std::string& path);

}  // namespace warmset

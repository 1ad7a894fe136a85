#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

// Tells of changes in folders (inotify). Move-only, not thread-safe.
class Inotify {
 public:
  struct Event {
    int watch = 0;
    std::string name;         // of the entry that changed; empty: the folder itself
    bool overflow = false;    // events were lost; watch and name mean nothing
    bool watch_gone = false;  // the folder was removed: its watch number is free
  };

  static StatusOr<Inotify> Create();

  // Non-blocking; readable when Read() has something.
  int fd() const { return fd_.get(); }

  // Reports entries that come, go, are renamed, or were closed after writing,
  // and changed attributes. Watching a folder twice gives the same number.
  // kRamLimitExceeded when the kernel's limit of watches is reached.
  StatusOr<int> Add(const std::string& folder);
  void Remove(int watch);

  // All pending events; empty when there are none.
  StatusOr<std::vector<Event>> Read();

 private:
  explicit Inotify(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace warmset::os

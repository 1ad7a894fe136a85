// Folders of which a disk or server gives no answer.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace warmset {

// A place is silent as long as a thread waits for an answer about it. Thread-safe.
class SilentPlaces {
 public:
  // Called on any thread when a place has become silent, and when it answers again. Set it
  // before the first Add().
  void SetChanged(std::function<void(const std::string& place, bool silent)> changed) {
    changed_ = std::move(changed);
  }

  // One more thread waits for an answer about the place, an absolute path ...
  void Add(const std::string& place);
  // ... and has it.
  void Remove(const std::string& place);

  // Whether a path is a silent place or lies below one.
  bool Contain(std::string_view path) const;
  std::vector<std::string> All() const;

 private:
  std::function<void(const std::string&, bool)> changed_;
  std::atomic<bool> any_ = false;
  mutable absl::Mutex mutex_;
  std::map<std::string, int, std::less<>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmset

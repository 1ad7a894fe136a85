// Background work that lets urgent work go first.
#pragma once

#include <chrono>
#include <stop_token>

#include "absl/synchronization/mutex.h"

namespace warmset {

// Thread-safe.
class Courtesy {
 public:
  // Whether something urgent runs.
  void SetBusy(bool busy);

  // Returns when nothing urgent runs, when the stop is requested, or when `patience` is
  // used up, from which the time that was waited is taken.
  void Wait(std::chrono::nanoseconds& patience, const std::stop_token& stop) const;

 private:
  mutable absl::Mutex mutex_;
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace warmset

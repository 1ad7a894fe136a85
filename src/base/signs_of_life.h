// What a thread that may hang shows to the one that waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"

namespace warmset {

// Thread-safe. Shared by both, so that it outlives the one that does not wait any more.
class SignsOfLife {
 public:
  // The work has moved; costs next to nothing.
  void Step() { steps_.fetch_add(1, std::memory_order_relaxed); }
  // The work is done.
  void End();

  // Waits for End(). kTimeout when no Step() came for that long: then the work may be hung,
  // and Wait() can be called again. kCancelled when asked to stop.
  Status Wait(std::chrono::milliseconds patience, const std::stop_token& stop);

 private:
  std::atomic<uint64_t> steps_ = 0;
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace warmset

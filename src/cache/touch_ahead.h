// Touching memory ahead of those that fill it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace warmset {

// Touches memory from front to back on a thread of its own (os::TouchMemory),
// beginning where it is not touched yet. Thread-safe; the memory must outlive
// it. The destructor does not touch what is left.
class TouchAhead {
 public:
  TouchAhead(std::span<std::byte> memory, uint64_t touched_bytes);
  ~TouchAhead();
  TouchAhead(const TouchAhead&) = delete;
  TouchAhead& operator=(const TouchAhead&) = delete;

  // Returns when everything before that offset may be written.
  void WaitFor(uint64_t end);

 private:
  void Touch(uint64_t from);

  const std::span<std::byte> memory_;
  absl::Mutex mutex_;
  uint64_t ready_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // none when all is touched
};

}  // namespace warmset

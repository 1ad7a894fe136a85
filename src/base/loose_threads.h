// Threads for what may wait for a disk for ever, as many as it takes.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <stop_token>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace warmset {

// Each task has a thread of its own, so that one that does not end holds up no other.
// Thread-safe. The destructor asks the tasks to stop and waits for them.
class LooseThreads {
 public:
  using Task = std::function<void(std::stop_token)>;

  LooseThreads() = default;
  ~LooseThreads();
  LooseThreads(const LooseThreads&) = delete;
  LooseThreads& operator=(const LooseThreads&) = delete;

  // Does nothing after StopBy().
  void Start(Task task);

  // Asks the tasks to stop and waits for them until the deadline. False when some still run:
  // then the destructor would wait for them.
  bool StopBy(std::chrono::steady_clock::time_point deadline);

 private:
  struct Thread {
    bool ended = false;
    std::jthread thread;
  };

  void Close();

  absl::Mutex mutex_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<Thread> threads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmset

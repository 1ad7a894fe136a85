// A fixed number of threads that run submitted functions in order.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <stop_token>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace warmset {

// Thread-safe. The destructor asks the running tasks to stop, waits for them
// and drops those that have not begun.
class ThreadPool {
 public:
  using Task = std::function<void(std::stop_token)>;

  explicit ThreadPool(size_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Submit(Task task);

  // Drops what has not begun, asks the running tasks to stop and waits for them until the
  // deadline. False when some still run: then the destructor would wait for them.
  bool StopBy(std::chrono::steady_clock::time_point deadline);

 private:
  void Work(std::stop_token stop);
  void Close();

  absl::Mutex mutex_;
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

}  // namespace warmset

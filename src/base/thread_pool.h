// A fixed number of threads that run submitted functions in order.
#pragma once

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

 private:
  void Work(std::stop_token stop);

  absl::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;  // last: joined before the rest goes
};

}  // namespace warmset

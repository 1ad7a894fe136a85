// Threads for calls that can wait for a disk for ever.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/thread_pool.h"

namespace warmset {

// A pool of its own for each disk (st_dev): a server that does not answer keeps waiting
// only what is on it. Pools are made when they are needed. Thread-safe. The destructor is
// as ThreadPool's.
class DiskThreads {
 public:
  explicit DiskThreads(size_t threads_per_disk) : threads_per_disk_(threads_per_disk) {}

  void Submit(uint64_t device, ThreadPool::Task task);

  // See ThreadPool::StopBy().
  bool StopBy(std::chrono::steady_clock::time_point deadline);

 private:
  const size_t threads_per_disk_;
  absl::Mutex mutex_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::unordered_map<uint64_t, std::unique_ptr<ThreadPool>> pools_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace warmset

#include "base/disk_threads.h"

#include <utility>

namespace warmset {

void DiskThreads::Submit(uint64_t device, ThreadPool::Task task) {
  absl::MutexLock lock(&mutex_);
  if (closing_) return;
  std::unique_ptr<ThreadPool>& pool = pools_[device];
  if (pool == nullptr) pool = std::make_unique<ThreadPool>(threads_per_disk_);
  pool->Submit(std::move(task));
}

bool DiskThreads::StopBy(std::chrono::steady_clock::time_point deadline) {
  absl::MutexLock lock(&mutex_);
  closing_ = true;
  bool ended = true;
  for (auto& [device, pool] : pools_) ended &= pool->StopBy(deadline);
  return ended;
}

}  // namespace warmset

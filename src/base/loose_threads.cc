#include "base/loose_threads.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace warmset {

LooseThreads::~LooseThreads() {
  Close();
  std::list<Thread> threads;
  {
    absl::MutexLock lock(&mutex_);
    threads.swap(threads_);
  }
  for (Thread& thread : threads) thread.thread.join();
}

void LooseThreads::Close() {
  absl::MutexLock lock(&mutex_);
  closing_ = true;
  for (Thread& thread : threads_) thread.thread.request_stop();
}

void LooseThreads::Start(Task task) {
  absl::MutexLock lock(&mutex_);
  if (closing_) return;
  // Those that have ended hold no lock any more, so to join them takes no time.
  threads_.remove_if([](const Thread& thread) { return thread.ended; });
  Thread& added = threads_.emplace_back();
  ++running_;
  added.thread = std::jthread([this, &added, task = std::move(task)](std::stop_token stop) mutable {
    task(std::move(stop));
    task = nullptr;  // with what it holds
    absl::MutexLock lock_at_end(&mutex_);
    added.ended = true;
    --running_;
  });
}

bool LooseThreads::StopBy(std::chrono::steady_clock::time_point deadline) {
  Close();
  const auto left =
      std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration(0));
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(
                                     +[](LooseThreads* threads) ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                                          threads->mutex_) { return threads->running_ == 0; },
                                     this),
                                 absl::FromChrono(left));
}

}  // namespace warmset

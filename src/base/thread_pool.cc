#include "base/thread_pool.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace warmset {

ThreadPool::ThreadPool(size_t threads) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { Work(stop); });
  }
}

ThreadPool::~ThreadPool() { Close(); }

void ThreadPool::Close() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    tasks_.clear();
  }
  for (std::jthread& thread : threads_) thread.request_stop();
}

bool ThreadPool::StopBy(std::chrono::steady_clock::time_point deadline) {
  Close();
  const auto left =
      std::max(deadline - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration(0));
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(
                                     +[](ThreadPool* pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(
                                          pool->mutex_) { return pool->running_ == 0; },
                                     this),
                                 absl::FromChrono(left));
}

void ThreadPool::Submit(Task task) {
  absl::MutexLock lock(&mutex_);
  if (!closing_) tasks_.push_back(std::move(task));
}

void ThreadPool::Work(std::stop_token stop) {
  while (true) {
    Task task;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(
          +[](ThreadPool* pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(pool->mutex_) {
            return pool->closing_ || !pool->tasks_.empty();
          },
          this));
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
      ++running_;
    }
    task(stop);
    task = nullptr;  // with what it holds
    absl::MutexLock lock(&mutex_);
    --running_;
  }
}

}  // namespace warmset

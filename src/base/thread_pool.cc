#include "base/thread_pool.h"

namespace warmset {

ThreadPool::ThreadPool(size_t threads) {
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { Work(stop); });
  }
}

ThreadPool::~ThreadPool() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    tasks_.clear();
  }
  for (std::jthread& thread : threads_) thread.request_stop();
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
    }
    task(stop);
  }
}

}  // namespace warmset

#include "base/thread_pool.h"

#include <atomic>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(ThreadPoolTest, RunsEverything) {
  absl::BlockingCounter done(100);
  std::atomic<int> sum = 0;
  ThreadPool pool(3);
  for (int i = 1; i <= 100; ++i) {
    pool.Submit([&, i](std::stop_token) {
      sum += i;
      done.DecrementCount();
    });
  }
  done.Wait();
  EXPECT_EQ(sum, 5050);
}

TEST(ThreadPoolTest, DestructionStopsTheRunningTaskAndDropsTheRest) {
  absl::Notification started;
  std::atomic<bool> second_ran = false;
  {
    ThreadPool pool(1);
    pool.Submit([&](std::stop_token stop) {
      absl::Notification stopped;
      std::stop_callback on_stop(stop, [&] { stopped.Notify(); });
      started.Notify();
      stopped.WaitForNotification();
    });
    pool.Submit([&](std::stop_token) { second_ran = true; });
    started.WaitForNotification();
  }
  EXPECT_FALSE(second_ran);
}

}  // namespace
}  // namespace warmset

#include "base/disk_threads.h"

#include <future>

#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(DiskThreadsTest, AHungDiskHoldsUpNoOther) {
  std::promise<void> answer;
  const std::shared_future<void> hung = answer.get_future().share();
  DiskThreads threads(1);
  std::promise<void> begun;  // what has not begun is dropped
  threads.Submit(1, [hung, &begun](std::stop_token) {
    begun.set_value();
    hung.wait();
  });
  for (int i = 0; i < 2; ++i) threads.Submit(1, [hung](std::stop_token) { hung.wait(); });
  begun.get_future().wait();
  std::promise<void> done;
  threads.Submit(2, [&done](std::stop_token) { done.set_value(); });
  done.get_future().wait();

  EXPECT_FALSE(threads.StopBy(std::chrono::steady_clock::now()));
  answer.set_value();
  EXPECT_TRUE(threads.StopBy(std::chrono::steady_clock::now() + std::chrono::seconds(60)));
  threads.Submit(2, [](std::stop_token) { ADD_FAILURE() << "it was closed"; });
}

}  // namespace
}  // namespace warmset

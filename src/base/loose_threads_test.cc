#include "base/loose_threads.h"

#include <atomic>
#include <future>

#include "base/signs_of_life.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using std::chrono::milliseconds;

TEST(LooseThreadsTest, ATaskThatHangsHoldsUpNoOther) {
  std::promise<void> answer;
  const std::shared_future<void> hung = answer.get_future().share();
  LooseThreads threads;
  for (int i = 0; i < 3; ++i) threads.Start([hung](std::stop_token) { hung.wait(); });
  std::promise<void> done;
  threads.Start([&done](std::stop_token) { done.set_value(); });
  done.get_future().wait();

  EXPECT_FALSE(threads.StopBy(std::chrono::steady_clock::now()));
  answer.set_value();
  EXPECT_TRUE(threads.StopBy(std::chrono::steady_clock::now() + std::chrono::seconds(60)));
  threads.Start([](std::stop_token) { ADD_FAILURE() << "it was closed"; });
}

TEST(LooseThreadsTest, TasksAreAskedToStop) {
  std::atomic<bool> stopped = false;
  {
    LooseThreads threads;
    threads.Start([&stopped](const std::stop_token& stop) {
      while (!stop.stop_requested()) std::this_thread::yield();
      stopped = true;
    });
  }
  EXPECT_TRUE(stopped);
}

TEST(SignsOfLifeTest, WorkThatMovesIsWaitedFor) {
  SignsOfLife life;
  std::jthread worker([&life] {
    for (int i = 0; i < 100; ++i) {
      life.Step();
      std::this_thread::sleep_for(milliseconds(1));
    }
    life.End();
  });
  EXPECT_TRUE(life.Wait(std::chrono::seconds(60), {}).ok());
}

TEST(SignsOfLifeTest, WorkThatStandsStillIsNot) {
  SignsOfLife life;
  EXPECT_EQ(CodeOf(life.Wait(milliseconds(20), {})), ErrorCode::kTimeout);
  life.End();
  EXPECT_TRUE(life.Wait(milliseconds(20), {}).ok()) << "it can be waited for again";
}

TEST(SignsOfLifeTest, TheOneThatWaitsCanBeStopped) {
  SignsOfLife life;
  std::stop_source stop;
  std::jthread other([&stop] { stop.request_stop(); });
  EXPECT_EQ(CodeOf(life.Wait(std::chrono::hours(1), stop.get_token())), ErrorCode::kCancelled);
}

}  // namespace
}  // namespace warmset

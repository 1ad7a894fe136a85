#include "os/event_loop.h"

#include <thread>

#include "gtest/gtest.h"
#include "os/unix_socket.h"

namespace warmset::os {
namespace {

using std::chrono::milliseconds;

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::Create();
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
  }
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, TimersRunInOrderOfTheirDeadline) {
  std::string order;
  loop_->RunAfter(milliseconds(3), [&] { loop_->Stop(); });
  loop_->RunAfter(milliseconds(2), [&] { order += 'b'; });
  loop_->RunAfter(milliseconds(1), [&] { order += 'a'; });
  const auto cancelled = loop_->RunAfter(milliseconds(1), [&] { order += 'x'; });
  loop_->Cancel(cancelled);
  loop_->Run();
  EXPECT_EQ(order, "ab");
}

TEST_F(EventLoopTest, PostedFromAnotherThreadRunsOnTheLoop) {
  std::thread::id ran_on;
  std::jthread other([&] {
    loop_->Post([&] {
      ran_on = std::this_thread::get_id();
      loop_->Stop();
    });
  });
  loop_->Run();
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST_F(EventLoopTest, WhatATaskPostsRunsWithoutWaiting) {
  int left = 1000;
  std::function<void()> again = [&] { --left > 0 ? loop_->Post(again) : loop_->Stop(); };
  loop_->RunAfter(std::chrono::hours(1), [] {});
  loop_->Post(again);
  loop_->Run();
  EXPECT_EQ(left, 0);
}

TEST_F(EventLoopTest, NoPostFromAnotherThreadIsMissed) {
  constexpr int kPosts = 20'000;
  int ran = 0;
  std::thread poster([&] {
    for (int i = 0; i < kPosts; ++i) {
      loop_->Post([&] {
        if (++ran == kPosts) loop_->Stop();
      });
      if (i % 100 == 0) std::this_thread::yield();
    }
  });
  loop_->Run();
  poster.join();
  EXPECT_EQ(ran, kPosts);
}

TEST_F(EventLoopTest, AHandlerMayEndItsOwnWatch) {
  auto ends = MakeSocketPair();
  ASSERT_TRUE(ends.ok());
  int calls = 0;
  ASSERT_TRUE(loop_->Watch(ends->first.get(), EPOLLIN, [&](uint32_t) {
    ++calls;
    loop_->Unwatch(ends->first.get());
    ends->first.Reset();
    loop_->RunAfter(milliseconds(1), [&] { loop_->Stop(); });
  }).ok());
  ASSERT_TRUE(SendWithFds(ends->second.get(), std::as_bytes(std::span("x", 1)), {}).ok());
  loop_->Run();
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace warmset::os

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

// CommandSender against CommandReceiver, message by message.
#include <gtest/gtest.h>

#include <chrono>
#include <variant>
#include <vector>

#include "sync/command_receiver.h"
#include "sync/command_sender.h"

namespace warmset::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kEpoch = 7;
constexpr uint64_t kTerm = 3;

class CommandTest : public ::testing::Test {
 protected:
  uint64_t Begin() { return sender_.Begin(kEpoch, ReleaseAction{"k"}, now_); }
  static const Command& CommandOf(const DaemonToWorker& message) {
    return std::get<Command>(message.body);
  }

  Time now_ = Time(seconds(100));
  CommandSender sender_{kTerm, CommandSender::Options{}};
  CommandReceiver receiver_{kEpoch, 4};
};

TEST_F(CommandTest, AcceptedThenDone) {
  const uint64_t sequence = Begin();
  const auto due = sender_.TakeDue(now_);
  ASSERT_EQ(due.size(), 1u);
  ASSERT_TRUE(receiver_.Admit(due[0]));
  const auto decision = receiver_.OnCommand(CommandOf(due[0]));
  EXPECT_TRUE(decision.execute);
  EXPECT_FALSE(sender_.OnReply(kEpoch, kTerm, decision.reply, now_).has_value());
  const auto reply = receiver_.Finish(kTerm, sequence, Done{42, {}});
  ASSERT_TRUE(reply.has_value());
  const auto end = sender_.OnReply(kEpoch, kTerm, *reply, now_);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->result->freed_bytes, 42u);
  EXPECT_TRUE(sender_.idle());
}

TEST_F(CommandTest, ANackKeepsItsCode) {
  const uint64_t sequence = Begin();
  const auto end = sender_.OnReply(kEpoch, kTerm,
                                   {sequence, Nack{"insufficient_device_memory", "8 of 4"}}, now_);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(CodeOf(end->result.status()), ErrorCode::kInsufficientDeviceMemory);
  EXPECT_EQ(Message(end->result.status()), "8 of 4");
}

TEST_F(CommandTest, UnansweredIsRepeatedWithTheSameIdThenGivenUp) {
  const uint64_t sequence = Begin();
  std::vector<Time> sent;
  std::optional<Time> given_up;
  while (!given_up) {
    for (const auto& end : sender_.TakeExpired(now_)) {
      EXPECT_EQ(CodeOf(end.result.status()), ErrorCode::kTimeout);
      given_up = now_;
    }
    for (const auto& message : sender_.TakeDue(now_)) {
      EXPECT_EQ(CommandOf(message).sequence, sequence);
      sent.push_back(now_);
    }
    if (!given_up) now_ = sender_.NextDeadline().value();
  }
  ASSERT_EQ(sent.size(), 4u);
  EXPECT_EQ(sent[1] - sent[0], milliseconds(5500));
  EXPECT_EQ(sent[2] - sent[1], milliseconds(6000));
  EXPECT_EQ(sent[3] - sent[2], milliseconds(7000));
  EXPECT_EQ(*given_up - sent[0], milliseconds(23500));
  EXPECT_FALSE(sender_.NextDeadline().has_value());
}

TEST_F(CommandTest, AnAcceptedCommandIsAskedAfterAsLongAsItRuns) {
  Begin();
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(sender_.TakeExpired(now_).empty());
    const auto due = sender_.TakeDue(now_);
    ASSERT_EQ(due.size(), 1u);
    const auto decision = receiver_.OnCommand(CommandOf(due[0]));
    EXPECT_EQ(decision.execute, i == 0);
    sender_.OnReply(kEpoch, kTerm, decision.reply, now_);
    now_ = sender_.NextDeadline().value();
  }
}

TEST_F(CommandTest, ARepetitionGetsTheSameEndWithoutExecution) {
  ASSERT_TRUE(receiver_.OnCommand({1, ReleaseAction{"k"}}).execute);
  ASSERT_TRUE(receiver_.Finish(0, 1, Done{42, {}}).has_value());
  const auto again = receiver_.OnCommand({1, ReleaseAction{"k"}});
  EXPECT_FALSE(again.execute);
  EXPECT_EQ(std::get<Done>(again.reply.outcome).freed_bytes, 42u);
}

TEST_F(CommandTest, AnOvertakenCommandIsRefused) {
  ASSERT_TRUE(receiver_.OnCommand({2, ReleaseAction{"k"}}).execute);
  const auto late = receiver_.OnCommand({1, PlaceAction{"k", "", "", 0}});
  EXPECT_FALSE(late.execute);
  EXPECT_EQ(std::get<Nack>(late.reply.outcome).error_code, "cancelled");
}

TEST_F(CommandTest, MemoryOfEndedCommandsIsBounded) {
  receiver_.OnCommand({1, ReleaseAction{"runs"}});
  for (uint64_t i = 2; i <= 20; ++i) {
    receiver_.OnCommand({i, ReleaseAction{"k"}});
    receiver_.Finish(0, i, Done{i, {}});
  }
  // The running one is kept, the oldest ended ones are not.
  EXPECT_TRUE(std::holds_alternative<Accepted>(
      receiver_.OnCommand({1, ReleaseAction{"runs"}}).reply.outcome));
  EXPECT_TRUE(
      std::holds_alternative<Nack>(receiver_.OnCommand({3, ReleaseAction{"k"}}).reply.outcome));
  EXPECT_TRUE(
      std::holds_alternative<Done>(receiver_.OnCommand({20, ReleaseAction{"k"}}).reply.outcome));
}

TEST_F(CommandTest, FencedByEpochAndTerm) {
  EXPECT_FALSE(receiver_.Admit({kEpoch - 1, kTerm, Command{1, ReleaseAction{"k"}}}));
  EXPECT_FALSE(receiver_.Admit({0, kTerm, Command{1, ReleaseAction{"k"}}}));
  EXPECT_TRUE(receiver_.Admit({0, kTerm, Welcome{}}));
  EXPECT_EQ(receiver_.term(), kTerm);
  EXPECT_FALSE(receiver_.Admit({kEpoch, kTerm - 1, SnapshotRequest{}}));
  EXPECT_TRUE(receiver_.Admit({kEpoch, kTerm, SnapshotRequest{}}));
}

TEST_F(CommandTest, ANewTermStartsItsOwnSequence) {
  ASSERT_TRUE(receiver_.Admit({kEpoch, kTerm, Command{5, ReleaseAction{"k"}}}));
  ASSERT_TRUE(receiver_.OnCommand({5, ReleaseAction{"k"}}).execute);
  ASSERT_TRUE(receiver_.Admit({kEpoch, kTerm + 1, Command{1, ReleaseAction{"k"}}}));
  EXPECT_TRUE(receiver_.OnCommand({1, ReleaseAction{"k"}}).execute);
  // The old daemon's command ends without a reply.
  EXPECT_FALSE(receiver_.Finish(kTerm, 5, Done{}).has_value());
}

TEST_F(CommandTest, ForeignRepliesEndNothing) {
  const uint64_t sequence = Begin();
  EXPECT_FALSE(sender_.OnReply(kEpoch + 1, kTerm, {sequence, Done{}}, now_).has_value());
  EXPECT_FALSE(sender_.OnReply(kEpoch, kTerm - 1, {sequence, Done{}}, now_).has_value());
  EXPECT_FALSE(sender_.OnReply(kEpoch, kTerm, {sequence + 1, Done{}}, now_).has_value());
  EXPECT_FALSE(sender_.idle());
}

TEST_F(CommandTest, ALostWorkerEndsEverything) {
  Begin();
  Begin();
  EXPECT_EQ(sender_.FailAll(Error(ErrorCode::kDeviceUnavailable, "gone")).size(), 2u);
  EXPECT_TRUE(sender_.idle());
}

}  // namespace
}  // namespace warmset::sync

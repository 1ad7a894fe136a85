// StateReporter against StateMirror, message by message.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <variant>
#include <vector>

#include "sync/state_mirror.h"
#include "sync/state_reporter.h"

namespace warmset::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kEpoch = 7;

class StateTest : public ::testing::Test {
 protected:
  void Deliver(const WorkerBody& body, uint64_t epoch = kEpoch) {
    if (const auto* delta = std::get_if<Delta>(&body)) mirror_.OnDelta(epoch, *delta, now_);
    if (const auto* snapshot = std::get_if<Snapshot>(&body)) {
      mirror_.OnSnapshot(epoch, *snapshot, now_);
    }
    if (const auto* beat = std::get_if<Heartbeat>(&body)) mirror_.OnHeartbeat(epoch, *beat, now_);
  }
  void DeliverAll(const std::vector<WorkerBody>& bodies) {
    for (const WorkerBody& body : bodies) Deliver(body);
  }
  void Connect() {
    worker_.OnWelcome(mirror_.MakeWelcome(now_));
    DeliverAll(worker_.TakeDue(now_));
  }
  template <typename T>
  static size_t Count(const std::vector<WorkerBody>& bodies) {
    size_t count = 0;
    for (const WorkerBody& body : bodies) count += std::holds_alternative<T>(body) ? 1u : 0u;
    return count;
  }

  Time now_ = Time(seconds(100));
  StateReporter worker_{kEpoch, {.max_removals = 4}};
  StateMirror mirror_{StateMirror::Options{}};
};

TEST_F(StateTest, FirstWelcomeBringsASnapshot) {
  worker_.Set("a", "1");
  EXPECT_FALSE(mirror_.in_sync(now_));
  Connect();
  EXPECT_TRUE(mirror_.in_sync(now_));
  EXPECT_EQ(mirror_.state(), (State{{"a", "1"}}));
  EXPECT_EQ(mirror_.epoch(), kEpoch);
  EXPECT_EQ(mirror_.status(now_).divergences, 0u);
}

TEST_F(StateTest, ChangesLeaveAsOneDelta) {
  Connect();
  worker_.Set("a", "1");
  worker_.Set("a", "2");
  worker_.Set("b", "3");
  const std::vector<WorkerBody> due = worker_.TakeDue(now_);
  ASSERT_EQ(due.size(), 2u);
  EXPECT_EQ(std::get<Delta>(due[0]).items.size(), 2u);
  EXPECT_EQ(std::get<Delta>(due[0]).revision, std::get<Delta>(due[0]).base_revision + 1);
  DeliverAll(due);
  EXPECT_EQ(mirror_.state(), (State{{"a", "2"}, {"b", "3"}}));
}

TEST_F(StateTest, AChangeTakenBackNeverLeaves) {
  Connect();
  worker_.Set("a", "1");
  worker_.Remove("a");
  EXPECT_TRUE(worker_.TakeDue(now_).empty());
}

TEST_F(StateTest, SilenceIsBoundedByHeartbeats) {
  Connect();
  EXPECT_TRUE(worker_.TakeDue(now_ + milliseconds(499)).empty());
  EXPECT_EQ(Count<Heartbeat>(worker_.TakeDue(now_ + milliseconds(500))), 1u);
  EXPECT_TRUE(worker_.TakeDue(now_ + milliseconds(999)).empty());
}

TEST_F(StateTest, ALostDeltaIsFoundByTheNext) {
  Connect();
  worker_.Set("a", "1");
  worker_.TakeDue(now_);  // lost
  worker_.Set("b", "2");
  DeliverAll(worker_.TakeDue(now_));
  EXPECT_TRUE(mirror_.state().empty());
  EXPECT_FALSE(mirror_.in_sync(now_));
  EXPECT_EQ(mirror_.status(now_).gaps, 1u);
  ASSERT_TRUE(mirror_.TakeSnapshotRequest(now_ + seconds(1)));
  worker_.OnSnapshotRequest();
  DeliverAll(worker_.TakeDue(now_));
  EXPECT_TRUE(mirror_.in_sync(now_));
  EXPECT_EQ(mirror_.state(), worker_.reported());
}

TEST_F(StateTest, ALostLastDeltaIsFoundByAHeartbeat) {
  Connect();
  worker_.Set("a", "1");
  worker_.TakeDue(now_);  // lost, and nothing changes any more
  DeliverAll(worker_.TakeDue(now_ + milliseconds(500)));
  EXPECT_FALSE(mirror_.in_sync(now_));
  EXPECT_TRUE(mirror_.NextSnapshotRequest().has_value());
}

TEST_F(StateTest, AWrongContentAtTheSameRevisionIsADivergence) {
  Connect();
  worker_.Set("a", "1");
  std::vector<WorkerBody> due = worker_.TakeDue(now_);
  std::get<Delta>(due[0]).items[0].value = "2";
  DeliverAll(due);
  EXPECT_FALSE(mirror_.in_sync(now_));
  EXPECT_EQ(mirror_.status(now_).divergences, 1u);
  worker_.OnSnapshotRequest();
  DeliverAll(worker_.TakeDue(now_));
  EXPECT_TRUE(mirror_.in_sync(now_));
  EXPECT_EQ(mirror_.state(), worker_.reported());
  EXPECT_EQ(mirror_.status(now_).divergences, 1u);
}

TEST_F(StateTest, AnUnaskedSnapshotComparesToo) {
  Connect();
  Deliver(Snapshot{worker_.revision(), {{"ghost", "1"}}});
  EXPECT_EQ(mirror_.status(now_).divergences, 1u);
}

TEST_F(StateTest, RepetitionsAndOldEpochsChangeNothing) {
  Connect();
  worker_.Set("a", "1");
  const std::vector<WorkerBody> first = worker_.TakeDue(now_);
  DeliverAll(first);
  worker_.Set("a", "2");
  DeliverAll(worker_.TakeDue(now_));
  DeliverAll(first);
  Deliver(Snapshot{9, {{"x", "y"}}}, kEpoch - 1);
  EXPECT_EQ(mirror_.state(), (State{{"a", "2"}}));
  EXPECT_TRUE(mirror_.in_sync(now_));
}

TEST_F(StateTest, ANewEpochNeedsASnapshotBeforeAnythingCounts) {
  worker_.Set("a", "1");
  Connect();
  Deliver(Delta{0, 1, {{"b", "2", false}}}, kEpoch + 1);
  EXPECT_EQ(mirror_.state(), (State{{"a", "1"}}));
  EXPECT_FALSE(mirror_.in_sync(now_));
  // The old worker's last words must not bring the old state back into sync.
  worker_.OnSnapshotRequest();
  DeliverAll(worker_.TakeDue(now_));
  EXPECT_FALSE(mirror_.in_sync(now_));
  Deliver(Snapshot{1, {{"b", "2"}}}, kEpoch + 1);
  EXPECT_TRUE(mirror_.in_sync(now_));
  EXPECT_EQ(mirror_.state(), (State{{"b", "2"}}));
}

TEST_F(StateTest, ReconnectingContinuesWithADelta) {
  Connect();
  worker_.Set("a", "1");
  worker_.Set("b", "1");
  DeliverAll(worker_.TakeDue(now_));
  mirror_.OnDisconnect();
  EXPECT_FALSE(mirror_.in_sync(now_));
  worker_.Remove("a");
  worker_.TakeDue(now_);  // into the void
  worker_.Set("c", "1");
  const uint64_t snapshots = mirror_.status(now_).snapshots;
  Connect();
  EXPECT_TRUE(mirror_.in_sync(now_));
  EXPECT_EQ(mirror_.state(), (State{{"b", "1"}, {"c", "1"}}));
  EXPECT_EQ(mirror_.status(now_).snapshots, snapshots);
}

TEST_F(StateTest, ReconnectingWithNothingNewIsConfirmedByAHeartbeat) {
  Connect();
  mirror_.OnDisconnect();
  Connect();
  EXPECT_TRUE(mirror_.in_sync(now_));
}

TEST_F(StateTest, PastTheBacklogComesASnapshot) {
  for (int i = 0; i < 10; ++i) worker_.Set(std::to_string(i), "x");
  Connect();
  mirror_.OnDisconnect();
  for (int i = 0; i < 10; ++i) worker_.Remove(std::to_string(i));
  worker_.TakeDue(now_);
  worker_.OnWelcome(mirror_.MakeWelcome(now_));
  const std::vector<WorkerBody> due = worker_.TakeDue(now_);
  EXPECT_EQ(Count<Snapshot>(due), 1u);
  EXPECT_EQ(Count<Delta>(due), 0u);
  DeliverAll(due);
  EXPECT_TRUE(mirror_.state().empty());
  EXPECT_TRUE(mirror_.in_sync(now_));
}

TEST_F(StateTest, AWelcomeFromTheFutureGetsASnapshot) {
  Connect();
  worker_.OnWelcome({kEpoch, 1000});
  EXPECT_EQ(Count<Snapshot>(worker_.TakeDue(now_)), 1u);
}

TEST_F(StateTest, SilenceMakesStale) {
  Connect();
  EXPECT_TRUE(mirror_.in_sync(now_ + seconds(2)));
  EXPECT_FALSE(mirror_.in_sync(now_ + milliseconds(2001)));
  DeliverAll(worker_.TakeDue(now_ += seconds(3)));
  EXPECT_TRUE(mirror_.in_sync(now_));
}

TEST_F(StateTest, ASnapshotIsAskedForAgainUntilItComes) {
  Connect();
  Deliver(Delta{5, 6, {}});
  EXPECT_TRUE(mirror_.TakeSnapshotRequest(now_ + seconds(1)));
  EXPECT_FALSE(mirror_.TakeSnapshotRequest(now_ + milliseconds(1999)));
  EXPECT_TRUE(mirror_.TakeSnapshotRequest(now_ + seconds(2)));
}

TEST(DigestState, KeepsKeysAndValuesApart) {
  EXPECT_NE(DigestState({{"a", "bc"}}), DigestState({{"ab", "c"}}));
  EXPECT_NE(DigestState({{"a", ""}, {"b", ""}}), DigestState({{"a", "b"}}));
  EXPECT_NE(DigestState({}), DigestState({{"", ""}}));
}

}  // namespace
}  // namespace warmset::sync

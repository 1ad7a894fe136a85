// Both halves over a channel that loses, repeats and reorders, with workers
// that crash and daemons that restart. Deterministic: the seed of a failure is
// printed, WARMSET_SYNC_SEED=<seed> runs it alone.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fmt/format.h"
#include "sync/command_receiver.h"
#include "sync/command_sender.h"
#include "sync/state_mirror.h"
#include "sync/state_reporter.h"

namespace warmset::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  std::mt19937_64 engine_;
};

// Messages by the time at which they arrive.
template <typename Message>
class LossyChannel {
 public:
  void Send(const Message& message, Time now, bool bad, Random& random) {
    if (!bad) {
      in_flight_.emplace(now + milliseconds(1), message);
      return;
    }
    if (random.OneIn(8)) return;
    for (int copies = random.OneIn(8) ? 2 : 1; copies > 0; --copies) {
      const uint64_t delay = random.OneIn(10) ? random.Below(3000) : random.Below(20);
      in_flight_.emplace(now + milliseconds(delay), message);
    }
  }
  std::vector<Message> TakeArrived(Time now) {
    std::vector<Message> arrived;
    while (!in_flight_.empty() && in_flight_.begin()->first <= now) {
      arrived.push_back(std::move(in_flight_.begin()->second));
      in_flight_.erase(in_flight_.begin());
    }
    return arrived;
  }

 private:
  std::multimap<Time, Message> in_flight_;
};

// A worker whose device holds strings.
class TestWorker {
 public:
  explicit TestWorker(uint64_t epoch) : reporter(epoch, {.max_removals = 4}), receiver(epoch, 8) {}

  struct Running {
    uint64_t term = 0;
    uint64_t sequence = 0;
    PlaceAction place;
    Time end;
  };

  StateReporter reporter;
  CommandReceiver receiver;
  std::map<std::string, Running> loading;
  std::set<std::pair<uint64_t, uint64_t>> executed;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {
    RestartWorker();
    RestartDaemon();
  }

  void RunBadTimes() {
    const Time end = now_ + seconds(120);
    while (now_ < end && !::testing::Test::HasFailure()) {
      if (random_.OneIn(400)) Want();
      if (random_.OneIn(6000)) RestartWorker();
      if (random_.OneIn(6000)) RestartDaemon();
      Step(true);
    }
  }
  void RunQuietTimes() {
    const Time end = now_ + seconds(60);
    while (now_ < end && !::testing::Test::HasFailure()) Step(false);
  }

  void ExpectConverged() {
    EXPECT_TRUE(mirror_->in_sync(now_));
    EXPECT_EQ(mirror_->epoch(), epoch_);
    EXPECT_EQ(mirror_->revision(), worker_->reporter.revision());
    EXPECT_EQ(mirror_->state(), worker_->reporter.reported());
    EXPECT_EQ(mirror_->state(), wanted_);
    EXPECT_EQ(mirror_->status(now_).divergences, 0u);
  }
  uint64_t executed() const { return executed_; }

 private:
  void Want() {
    const std::string key(1, static_cast<char>('a' + random_.Below(4)));
    if (random_.OneIn(2)) {
      wanted_.erase(key);
    } else {
      wanted_[key] = std::to_string(random_.Below(3));
    }
  }
  void RestartWorker() {
    worker_ = std::make_unique<TestWorker>(++epoch_);
    history_[{epoch_, 0}] = {};
    ToDaemon(WorkerHello{});
  }
  void RestartDaemon() {
    ++term_;
    mirror_ = std::make_unique<StateMirror>(StateMirror::Options{});
    sender_ = std::make_unique<CommandSender>(term_, CommandSender::Options{});
    commanded_epoch_ = 0;
    to_worker_.Send({0, term_, mirror_->MakeWelcome(now_)}, now_, bad_, random_);
  }

  void ToDaemon(const WorkerBody& body) {
    to_daemon_.Send({epoch_, worker_->receiver.term(), body}, now_, bad_, random_);
  }

  void Step(bool bad) {
    bad_ = bad;
    now_ += milliseconds(random_.Below(20));
    for (const DaemonToWorker& message : to_worker_.TakeArrived(now_)) WorkerHears(message);
    for (const WorkerToDaemon& message : to_daemon_.TakeArrived(now_)) DaemonHears(message);
    WorkerWorks();
    DaemonWorks();
  }

  void WorkerHears(const DaemonToWorker& message) {
    if (!worker_->receiver.Admit(message)) return;
    if (const auto* welcome = std::get_if<Welcome>(&message.body)) {
      worker_->reporter.OnWelcome(*welcome);
    } else if (std::holds_alternative<SnapshotRequest>(message.body)) {
      worker_->reporter.OnSnapshotRequest();
    } else {
      const Command& command = std::get<Command>(message.body);
      const auto decision = worker_->receiver.OnCommand(command);
      ToDaemon(decision.reply);
      if (!decision.execute) return;
      ASSERT_EQ(message.worker_epoch, epoch_);
      ASSERT_TRUE(worker_->executed.insert({message.daemon_term, command.sequence}).second);
      ASSERT_EQ(*worker_->executed.rbegin(), (std::pair{message.daemon_term, command.sequence}))
          << "an older command was executed after a newer one";
      ++executed_;
      if (const auto* place = std::get_if<PlaceAction>(&command.action)) {
        worker_->loading[place->key] = {message.daemon_term, command.sequence, *place,
                                        now_ + milliseconds(random_.Below(8000))};
      } else {
        const std::string& key = std::get<ReleaseAction>(command.action).key;
        worker_->loading.erase(key);
        worker_->reporter.Remove(key);
        Finish(message.daemon_term, command.sequence);
      }
    }
  }
  void WorkerWorks() {
    for (auto it = worker_->loading.begin(); it != worker_->loading.end();) {
      if (it->second.end > now_) {
        ++it;
        continue;
      }
      const TestWorker::Running done = it->second;
      it = worker_->loading.erase(it);
      worker_->reporter.Set(done.place.key, done.place.component_id);
      Finish(done.term, done.sequence);
    }
    for (const WorkerBody& body : worker_->reporter.TakeDue(now_)) {
      history_[{epoch_, worker_->reporter.revision()}] = worker_->reporter.reported();
      ToDaemon(body);
    }
  }
  void Finish(uint64_t term, uint64_t sequence) {
    if (const auto reply = worker_->receiver.Finish(term, sequence, Done{})) ToDaemon(*reply);
  }

  void DaemonHears(const WorkerToDaemon& message) {
    const std::pair before(mirror_->epoch(), mirror_->revision());
    const uint64_t epoch = message.worker_epoch;
    if (std::holds_alternative<WorkerHello>(message.body)) {
      to_worker_.Send({epoch, term_, mirror_->MakeWelcome(now_)}, now_, bad_, random_);
    } else if (const auto* delta = std::get_if<Delta>(&message.body)) {
      mirror_->OnDelta(epoch, *delta, now_);
    } else if (const auto* snapshot = std::get_if<Snapshot>(&message.body)) {
      mirror_->OnSnapshot(epoch, *snapshot, now_);
    } else if (const auto* heartbeat = std::get_if<Heartbeat>(&message.body)) {
      mirror_->OnHeartbeat(epoch, *heartbeat, now_);
    } else {
      sender_->OnReply(epoch, message.daemon_term, std::get<CommandReply>(message.body), now_);
    }
    const std::pair after(mirror_->epoch(), mirror_->revision());
    ASSERT_GE(after, before) << "the mirror went back";
    if (after.first == 0) return;
    ASSERT_TRUE(history_.contains(after));
    ASSERT_EQ(mirror_->state(), history_[after]) << "the mirror holds what the worker never had";
  }
  void DaemonWorks() {
    if (mirror_->TakeSnapshotRequest(now_)) {
      to_worker_.Send({0, term_, SnapshotRequest{}}, now_, bad_, random_);
    }
    if (mirror_->epoch() != commanded_epoch_) {
      sender_->FailAll(Error(ErrorCode::kDeviceUnavailable, "another worker"));
      commanded_epoch_ = mirror_->epoch();
    }
    sender_->TakeExpired(now_);
    if (mirror_->in_sync(now_) && sender_->idle()) Derive();
    for (const DaemonToWorker& message : sender_->TakeDue(now_)) {
      to_worker_.Send(message, now_, bad_, random_);
    }
  }
  // One command at a time, from what is wanted and what is there.
  void Derive() {
    for (const auto& [key, value] : mirror_->state()) {
      if (!wanted_.contains(key)) {
        sender_->Begin(mirror_->epoch(), ReleaseAction{key}, now_);
        return;
      }
    }
    for (const auto& [key, value] : wanted_) {
      const auto there = mirror_->state().find(key);
      if (there == mirror_->state().end() || there->second != value) {
        sender_->Begin(mirror_->epoch(), PlaceAction{key, value, "dedicated", 1}, now_);
        return;
      }
    }
  }

  Random random_;
  Time now_ = Time(seconds(1));
  bool bad_ = false;
  LossyChannel<DaemonToWorker> to_worker_;
  LossyChannel<WorkerToDaemon> to_daemon_;

  uint64_t epoch_ = 0;
  std::unique_ptr<TestWorker> worker_;
  std::map<std::pair<uint64_t, uint64_t>, State> history_;  // what each revision held
  uint64_t executed_ = 0;

  uint64_t term_ = 0;
  std::unique_ptr<StateMirror> mirror_;
  std::unique_ptr<CommandSender> sender_;
  uint64_t commanded_epoch_ = 0;
  State wanted_;
};

uint64_t RunSeed(uint64_t seed) {
  SCOPED_TRACE(fmt::format("WARMSET_SYNC_SEED={}", seed));
  World world(seed);
  world.RunBadTimes();
  world.RunQuietTimes();
  world.ExpectConverged();
  return world.executed();
}

TEST(Protocol, ConvergesAndNeverExecutesTwice) {
  if (const char* seed = std::getenv("WARMSET_SYNC_SEED")) {
    RunSeed(std::strtoull(seed, nullptr, 10));
    return;
  }
  uint64_t executed = 0;
  for (uint64_t seed = 1; seed <= 100 && !HasFailure(); ++seed) executed += RunSeed(seed);
  EXPECT_GT(executed, 1000u);  // the runs did something
}

}  // namespace
}  // namespace warmset::sync

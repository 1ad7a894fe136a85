// Links to real worker processes.
#include "daemon/device_link.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "os/file.h"
#include "os/mapping.h"
#include "os/memory_file.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Far more than anything here takes; only a broken program waits so long.
constexpr seconds kPatience{60};

struct TestEntry {
  ComponentId id;
  os::MemoryFile index;
  os::MemoryFile data;
  std::optional<os::MemoryFile> segments;  // of one that says it is compressed
};

// One tensor of that size; its bytes are zero, but for the first.
TestEntry MakeEntry(const std::string& name, uint64_t bytes) {
  TestEntry entry;
  entry.id = DigestOf<ComponentId>(AsBytes(name));
  const std::vector<TensorEntry> table{{name, DType::kU8, {bytes}, 0, bytes}};
  entry.index = *os::MakeSealedFile("test-index", AsBytes(EncodeTensorIndex(table, {}, bytes)));
  entry.data = *os::MemoryFile::Create("test-entry", bytes);
  entry.data.writable().data()[0] = std::byte{42};
  EXPECT_TRUE(entry.data.Seal().ok());
  return entry;
}

PlacementSource SourceOf(const TestEntry& entry) {
  return {.index = *os::Duplicate(entry.index.fd()),
          .data = *os::Duplicate(entry.data.fd()),
          .segments = entry.segments ? *os::Duplicate(entry.segments->fd()) : os::UniqueFd(),
          .bytes = entry.data.size(),
          .form = {}};
}

// A result that a callback brings to the test's thread.
template <typename T>
class Waiting {
 public:
  std::function<void(T)> callback() {
    return [promise = promise_](T value) { promise->set_value(std::move(value)); };
  }
  bool done() const { return future_.wait_for(seconds(0)) == std::future_status::ready; }
  T Get() {
    if (future_.wait_for(kPatience) == std::future_status::ready) return future_.get();
    ADD_FAILURE() << "a callback did not come";
    std::abort();
  }

 private:
  std::shared_ptr<std::promise<T>> promise_ = std::make_shared<std::promise<T>>();
  std::future<T> future_ = promise_->get_future();
};

class DeviceLinkTest : public ::testing::Test {
 protected:
  struct Link {
    std::unique_ptr<DeviceLink> link;
    std::vector<std::pair<ComponentId, Status>> lost;  // loop thread
    std::vector<ComponentId> damaged;                  // loop thread
    int fetches = 0;                                   // loop thread
  };

  DeviceLinkTest() {
    loop_ = *os::EventLoop::Create();
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~DeviceLinkTest() override {
    for (const auto& link : links_) {
      Waiting<bool> gone;
      OnLoop([&] { link->link->Shutdown([done = gone.callback()] { done(true); }); });
      gone.Get();
      OnLoop([&] { link->link.reset(); });
    }
    loop_->Stop();
    thread_.join();
  }

  static DeviceLink::Options DefaultOptions() {
    return {.device = DeviceId("host:0"),
            .memory = ByteCount(1 * kGiB),
            .daemon_term = 1,
            .worker_program = WARMSET_WORKER_PROGRAM,
            .stall_after = milliseconds(5000),  // machines under test are slow
            .first_restart_delay = milliseconds(10)};
  }

  Link& Start(const DeviceLink::Options& options = DefaultOptions()) {
    links_.push_back(std::make_unique<Link>());
    Link& link = *links_.back();
    OnLoop([&] {
      link.link = std::make_unique<DeviceLink>(
          *loop_, options,
          DeviceLink::Events{
              .changed = nullptr,
              .fetch =
                  [this, &link](const ComponentId& component, const DeviceLink::FetchDone& done) {
                    ++link.fetches;
                    const auto found = store_.find(component);
                    if (found == store_.end()) {
                      return done(Error(ErrorCode::kFileNotFound, "its file is gone"));
                    }
                    done(SourceOf(*found->second));
                  },
              .damaged =
                  [this, &link](const ComponentId& component, const ComponentCache::AnyForm&) {
                    link.damaged.push_back(component);
                    if (sound_.contains(component)) store_[component] = sound_[component];
                  },
              .lost = [&link](const ComponentId& component,
                              const Status& why) { link.lost.emplace_back(component, why); }});
    });
    return link;
  }

  template <typename Function>
  void OnLoop(const Function& function) {
    std::promise<void> done;
    loop_->Post([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }

  // Returns once the condition holds; it is asked on the loop.
  template <typename Condition>
  void Until(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    Waiting<bool> holds;
    std::function<void()> ask = [&, done = holds.callback()] {
      if (condition()) return done(true);
      if (std::chrono::steady_clock::now() > deadline) return done(false);
      loop_->RunAfter(milliseconds(2), ask);
    };
    loop_->Post(ask);
    ASSERT_TRUE(holds.Get());
  }
  void UntilState(Link& link, WorkerState state) {
    Until([&] { return link.link->status().worker == state; });
  }

  Waiting<Status> Place(Link& link, const TestEntry& entry,
                        MemoryPool pool = MemoryPool::kDedicated) {
    Waiting<Status> placed;
    OnLoop([&] { link.link->Place(entry.id, pool, SourceOf(entry), nullptr, placed.callback()); });
    return placed;
  }
  Waiting<StatusOr<ByteCount>> Release(Link& link, const ComponentId& id) {
    Waiting<StatusOr<ByteCount>> released;
    OnLoop([&] { link.link->Release(id, released.callback()); });
    return released;
  }
  Waiting<StatusOr<ExportedPlacement>> Export(Link& link, const ComponentId& id) {
    Waiting<StatusOr<ExportedPlacement>> exported;
    OnLoop([&] { link.link->Export(id, exported.callback()); });
    return exported;
  }

  DeviceLinkStatus StatusOf(Link& link) {
    DeviceLinkStatus status;
    OnLoop([&] { status = link.link->status(); });
    return status;
  }
  std::vector<DevicePlacement> PlacementsOf(Link& link) {
    std::vector<DevicePlacement> placements;
    OnLoop([&] { placements = link.link->placements(); });
    return placements;
  }
  static bool Holds(Link& link, const ComponentId& id) {
    for (const DevicePlacement& placement : link.link->placements()) {
      if (placement.component == id && placement.ready) return true;
    }
    return false;
  }
  void Signal(Link& link, int signal) { ASSERT_EQ(::kill(StatusOf(link).worker_pid, signal), 0); }
  // The worker says the same as the mirror, and has nothing.
  void ExpectEmptyAndInSync(Link& link) {
    Until([&] { return link.link->placements().empty() && link.link->status().sync.in_sync; });
    Waiting<StatusOr<WorkerReport>> report;
    OnLoop([&] { link.link->QueryWorker(report.callback()); });
    const auto result = report.Get();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(result->agrees);
    EXPECT_TRUE(result->placements.empty());
    EXPECT_EQ(StatusOf(link).sync.divergences, 0u);
  }

  std::unique_ptr<os::EventLoop> loop_;
  std::thread thread_;
  std::vector<std::unique_ptr<Link>> links_;
  std::map<ComponentId, const TestEntry*> store_;  // what fetch finds
  std::map<ComponentId, const TestEntry*> sound_;  // put there instead of what is damaged
};

void ExpectFirstByte(const ExportedPlacement& exported) {
  ASSERT_FALSE(exported.chunks.empty());
  const auto mapped =
      os::Mapping::Create(exported.chunks[0].fd.get(), exported.chunks[0].bytes.value(),
                          os::Mapping::Kind::kSharedReadOnly);
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_EQ(mapped->data()[0], std::byte{42});
}

TEST_F(DeviceLinkTest, PlacesExportsAndReleases) {
  Link& link = Start();
  const TestEntry entry = MakeEntry("a", 3 * kMiB);
  ASSERT_TRUE(Place(link, entry).Get().ok());  // waits for the worker to start

  const auto placements = PlacementsOf(link);
  ASSERT_EQ(placements.size(), 1u);
  EXPECT_EQ(placements[0].component, entry.id);
  EXPECT_TRUE(placements[0].ready);
  EXPECT_EQ(placements[0].bytes, ByteCount(3 * kMiB));
  Until([&] { return link.link->status().memory_used == ByteCount(3 * kMiB); });
  const DeviceLinkStatus status = StatusOf(link);
  EXPECT_EQ(status.worker, WorkerState::kReady);
  EXPECT_TRUE(status.sync.in_sync);
  EXPECT_EQ(status.worker_restarts, 0u);
  EXPECT_FALSE(status.device_name.empty());

  const auto exported = Export(link, entry.id).Get();
  ASSERT_TRUE(exported.ok()) << exported.status();
  ExpectFirstByte(*exported);

  const auto freed = Release(link, entry.id).Get();
  ASSERT_TRUE(freed.ok()) << freed.status();
  EXPECT_EQ(*freed, ByteCount(3 * kMiB));
  ExpectEmptyAndInSync(link);
  EXPECT_EQ(CodeOf(Release(link, entry.id).Get().status()), ErrorCode::kNotLoaded);
  EXPECT_EQ(CodeOf(Export(link, entry.id).Get().status()), ErrorCode::kNotLoaded);
}

TEST_F(DeviceLinkTest, TwoWhoWantTheSameAreServedByOneLoad) {
  Link& link = Start();
  const TestEntry entry = MakeEntry("a", kMiB);
  auto first = Place(link, entry);
  auto second = Place(link, entry);
  auto other_pool = Place(link, entry, MemoryPool::kShared);
  EXPECT_TRUE(first.Get().ok());
  EXPECT_TRUE(second.Get().ok());
  EXPECT_EQ(CodeOf(other_pool.Get()), ErrorCode::kInUse);
  EXPECT_TRUE(Place(link, entry).Get().ok());
  EXPECT_EQ(CodeOf(Place(link, entry, MemoryPool::kShared).Get()), ErrorCode::kInUse);
  EXPECT_EQ(PlacementsOf(link).size(), 1u);
}

TEST_F(DeviceLinkTest, ABudgetTooSmallChangesNothing) {
  auto options = DefaultOptions();
  options.memory = ByteCount(kMiB);
  Link& link = Start(options);
  const Status status = Place(link, MakeEntry("a", 2 * kMiB)).Get();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInsufficientDeviceMemory);
  EXPECT_NE(Message(status).find("2.00 MiB are needed"), std::string_view::npos) << Message(status);
  ExpectEmptyAndInSync(link);
  EXPECT_TRUE(Place(link, MakeEntry("b", kMiB)).Get().ok());
}

TEST_F(DeviceLinkTest, AWorkerKilledWhilePlacedIsFilledAgain) {
  Link& link = Start();
  const TestEntry dedicated = MakeEntry("a", kMiB);
  const TestEntry shared = MakeEntry("b", kMiB);
  store_ = {{dedicated.id, &dedicated}, {shared.id, &shared}};
  ASSERT_TRUE(Place(link, dedicated).Get().ok());
  ASSERT_TRUE(Place(link, shared, MemoryPool::kShared).Get().ok());
  const auto leased = Export(link, dedicated.id).Get();
  ASSERT_TRUE(leased.ok());
  const uint64_t epoch = StatusOf(link).sync.epoch;

  Signal(link, SIGKILL);
  Until([&] { return link.link->status().worker_restarts == 1; });
  Until([&] {
    return link.link->status().sync.in_sync && Holds(link, dedicated.id) && Holds(link, shared.id);
  });
  EXPECT_GT(StatusOf(link).sync.epoch, epoch);
  EXPECT_EQ(StatusOf(link).last_failure, "was killed by SIGKILL");
  ExpectFirstByte(*leased);  // what a client had stays
  const auto exported = Export(link, dedicated.id).Get();
  ASSERT_TRUE(exported.ok()) << exported.status();
  ExpectFirstByte(*exported);
}

TEST_F(DeviceLinkTest, AWorkerKilledInMidLoadFailsTheLoadAndNothingElse) {
  Link& link = Start();
  const TestEntry kept = MakeEntry("kept", kMiB);
  const TestEntry entry = MakeEntry("a", 256 * kMiB);
  store_ = {{kept.id, &kept}, {entry.id, &entry}};
  ASSERT_TRUE(Place(link, kept).Get().ok());
  auto placed = Place(link, entry);
  Until([&] { return link.link->placements().size() == 2; });  // it has begun
  Signal(link, SIGKILL);
  EXPECT_EQ(CodeOf(placed.Get()), ErrorCode::kDeviceUnavailable);
  Until([&] { return link.link->status().sync.in_sync && Holds(link, kept.id); });
  EXPECT_EQ(PlacementsOf(link).size(), 1u);
  EXPECT_TRUE(Place(link, entry).Get().ok());
}

TEST_F(DeviceLinkTest, AReleaseEndsALoad) {
  Link& link = Start();
  const TestEntry entry = MakeEntry("a", 256 * kMiB);
  auto placed = Place(link, entry);
  Until([&] { return link.link->placements().size() == 1; });
  auto released = Release(link, entry.id);
  EXPECT_EQ(CodeOf(placed.Get()), ErrorCode::kCancelled);
  EXPECT_TRUE(released.Get().ok());
  ExpectEmptyAndInSync(link);
}

TEST_F(DeviceLinkTest, AStoppedWorkerIsStalledAndComesBack) {
  auto options = DefaultOptions();
  options.stall_after = milliseconds(1500);
  Link& link = Start(options);
  const TestEntry entry = MakeEntry("a", kMiB);
  ASSERT_TRUE(Place(link, entry).Get().ok());
  Signal(link, SIGSTOP);
  auto exported = Export(link, entry.id);  // in flight when it stalls
  UntilState(link, WorkerState::kStalled);
  EXPECT_EQ(CodeOf(exported.Get().status()), ErrorCode::kDeviceUnavailable);
  EXPECT_EQ(CodeOf(Export(link, entry.id).Get().status()), ErrorCode::kDeviceUnavailable);
  EXPECT_EQ(CodeOf(Place(link, MakeEntry("b", kMiB)).Get()), ErrorCode::kDeviceUnavailable);
  EXPECT_FALSE(StatusOf(link).sync.in_sync);
  EXPECT_EQ(PlacementsOf(link).size(), 1u);  // the last that was known

  // Not now, but as soon as it can be.
  EXPECT_EQ(CodeOf(Release(link, entry.id).Get().status()), ErrorCode::kDeviceUnavailable);
  Signal(link, SIGCONT);
  UntilState(link, WorkerState::kReady);
  ExpectEmptyAndInSync(link);
  EXPECT_EQ(StatusOf(link).worker_restarts, 0u);
}

TEST_F(DeviceLinkTest, AWorkerStoppedForTooLongIsReplaced) {
  auto options = DefaultOptions();
  options.stall_after = milliseconds(1500);
  options.kill_stalled_after = milliseconds(100);
  Link& link = Start(options);
  const TestEntry entry = MakeEntry("a", kMiB);
  store_ = {{entry.id, &entry}};
  ASSERT_TRUE(Place(link, entry).Get().ok());
  Signal(link, SIGSTOP);
  auto released = Release(link, ComponentId{});
  EXPECT_EQ(CodeOf(released.Get().status()), ErrorCode::kNotLoaded);
  Until([&] {
    const auto status = link.link->status();
    return status.worker_restarts == 1 && status.sync.in_sync && Holds(link, entry.id);
  });
  EXPECT_NE(StatusOf(link).last_failure.find("silent"), std::string::npos);
}

TEST_F(DeviceLinkTest, WhatACommandBringsAfterItsTimeIsTakenAway) {
  auto options = DefaultOptions();
  options.commands.answer_timeout = milliseconds(50);
  options.commands.retries = 0;
  Link& link = Start(options);
  UntilState(link, WorkerState::kReady);
  Signal(link, SIGSTOP);
  const TestEntry entry = MakeEntry("a", kMiB);
  EXPECT_EQ(CodeOf(Place(link, entry).Get()), ErrorCode::kDeviceUnavailable);
  const uint64_t deltas = StatusOf(link).sync.deltas;
  Signal(link, SIGCONT);
  Until([&] { return link.link->status().sync.deltas > deltas; });
  ExpectEmptyAndInSync(link);
}

TEST_F(DeviceLinkTest, TwoDevicesDoNotDisturbEachOther) {
  Link& one = Start();
  auto options = DefaultOptions();
  options.device = DeviceId("host:1");
  Link& two = Start(options);
  const TestEntry entry = MakeEntry("a", kMiB);
  ASSERT_TRUE(Place(one, entry).Get().ok());
  ASSERT_TRUE(Place(two, entry).Get().ok());
  store_ = {{entry.id, &entry}};
  const DeviceLinkStatus before = StatusOf(two);
  Signal(one, SIGKILL);
  Until([&] { return one.link->status().worker_restarts == 1 && Holds(one, entry.id); });
  const DeviceLinkStatus after = StatusOf(two);
  EXPECT_EQ(after.worker_pid, before.worker_pid);
  EXPECT_EQ(after.sync.epoch, before.sync.epoch);
  EXPECT_EQ(PlacementsOf(two).size(), 1u);
}

TEST_F(DeviceLinkTest, WhatIsWantedIsFetchedOrLost) {
  Link& link = Start();
  const TestEntry entry = MakeEntry("a", kMiB);
  const ComponentId gone = DigestOf<ComponentId>(AsBytes("gone"));
  OnLoop([&] {
    store_ = {{entry.id, &entry}};
    link.link->Want(entry.id, MemoryPool::kDedicated);
    link.link->Want(gone, MemoryPool::kDedicated);
  });
  Until([&] { return Holds(link, entry.id) && !link.lost.empty(); });
  OnLoop([&] {
    EXPECT_EQ(link.lost.size(), 1u);
    EXPECT_EQ(link.lost[0].first, gone);
    EXPECT_EQ(CodeOf(link.lost[0].second), ErrorCode::kFileNotFound);
    EXPECT_EQ(link.fetches, 2);
  });
}

TEST_F(DeviceLinkTest, ACompressedSourceThatIsDamagedIsToldAndFetchedAnew) {
  Link& link = Start();
  const TestEntry sound = MakeEntry("a", kMiB);
  TestEntry damaged = MakeEntry("a", kMiB);
  damaged.segments = *os::MakeSealedFile("test-segments", AsBytes(std::string(32, '\0')));
  EXPECT_EQ(CodeOf(Place(link, damaged).Get()), ErrorCode::kCorruptedModel);
  OnLoop([&] { EXPECT_EQ(std::exchange(link.damaged, {}), std::vector{sound.id}); });

  store_ = {{sound.id, &damaged}};
  sound_ = {{sound.id, &sound}};
  OnLoop([&] { link.link->Want(sound.id, MemoryPool::kDedicated); });
  Until([&] { return Holds(link, sound.id); });
  OnLoop([&] {
    EXPECT_EQ(link.damaged, std::vector{sound.id});
    EXPECT_EQ(link.fetches, 2);
    EXPECT_TRUE(link.lost.empty());
  });
}

TEST_F(DeviceLinkTest, AProgramThatIsMissingFailsAndSaysSo) {
  auto options = DefaultOptions();
  options.worker_program = "/nonexistent/warmset-worker";
  options.first_restart_delay = milliseconds(1);
  Link& link = Start(options);
  // It never gets ready, so this fails with the first attempt that ends.
  EXPECT_EQ(CodeOf(Place(link, MakeEntry("a", kMiB)).Get()), ErrorCode::kDeviceUnavailable);
  UntilState(link, WorkerState::kFailed);
  const Status status = Place(link, MakeEntry("a", kMiB)).Get();
  EXPECT_NE(Message(status).find("/nonexistent/warmset-worker"), std::string_view::npos)
      << Message(status);
}

TEST_F(DeviceLinkTest, AWorkerThatEndsBeforeItIsReadyFailsTheLoadsThatWait) {
  const TestEntry first = MakeEntry("first", kMiB);
  const TestEntry second = MakeEntry("second", kMiB);
  DeviceLink::Options options = DefaultOptions();
  options.worker_program = "/bin/false";
  Waiting<Status> placed[2];
  Link* link = nullptr;
  links_.push_back(std::make_unique<Link>());
  link = links_.back().get();
  OnLoop([&] {  // at once, while the worker starts
    link->link = std::make_unique<DeviceLink>(*loop_, options, DeviceLink::Events{});
    link->link->Want(second.id, MemoryPool::kDedicated);
    int next = 0;
    for (const TestEntry* entry : {&first, &second}) {
      link->link->Place(entry->id, MemoryPool::kDedicated, SourceOf(*entry), nullptr,
                        placed[next++].callback());
    }
  });
  for (Waiting<Status>& result : placed) {
    EXPECT_EQ(CodeOf(result.Get()), ErrorCode::kDeviceUnavailable);
  }
}

TEST_F(DeviceLinkTest, AWorkerThatSpeaksNonsenseIsKilled) {
  const std::string program =
      ::testing::TempDir() + "nonsense-worker-" + std::to_string(::getpid());
  std::ofstream(program) << "#!/bin/sh\nprintf 'GET / HTTP/1.1\\r\\n\\r\\n' >&3\nexec sleep 600\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  auto options = DefaultOptions();
  options.worker_program = program;
  options.first_restart_delay = milliseconds(1);
  Link& link = Start(options);
  UntilState(link, WorkerState::kFailed);
  EXPECT_TRUE(StatusOf(link).last_failure.starts_with("was killed by SIGKILL: "))
      << StatusOf(link).last_failure;
  std::filesystem::remove(program);
}

TEST_F(DeviceLinkTest, ShutdownEndsWhatIsUnderWayAndTheWorker) {
  auto options = DefaultOptions();
  options.stop_grace = milliseconds(100);
  Link& link = Start(options);
  UntilState(link, WorkerState::kReady);
  const pid_t pid = StatusOf(link).worker_pid;
  Signal(link, SIGSTOP);  // so that it takes a SIGKILL
  auto placed = Place(link, MakeEntry("a", kMiB));
  Waiting<bool> gone;
  OnLoop([&] { link.link->Shutdown([done = gone.callback()] { done(true); }); });
  EXPECT_EQ(CodeOf(placed.Get()), ErrorCode::kDeviceUnavailable);
  EXPECT_TRUE(gone.Get());
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(CodeOf(Place(link, MakeEntry("a", kMiB)).Get()), ErrorCode::kDeviceUnavailable);
}

}  // namespace
}  // namespace warmset

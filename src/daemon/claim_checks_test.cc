// Checks of real files on a real loop, which has a thread of its own here. What happens
// meanwhile is put between the loop's tasks, so that the order of events is the same in
// every run.
#include "daemon/claim_checks.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <thread>

#include "base/byte_reader.h"
#include "cache/claim/content_hasher.h"
#include "daemon/model_use.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "isolate/inspector_pool.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kTensorBytes = 2 * kMiB;
const std::string kCommit(40, 'c');

std::string Safetensors(char fill) {
  const std::string header =
      fmt::format(R"({{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})",
                  kTensorBytes / 4, kTensorBytes);
  ByteWriter writer;
  writer.Write(static_cast<uint64_t>(header.size()));
  writer.WriteBytes(AsBytes(header));
  return writer.Take() + std::string(kTensorBytes, fill);
}

std::string Sha256(const std::string& content) {
  auto hasher = *ContentHasher::Create("sha256:" + std::string(64, '0'), content.size());
  hasher.Update(AsBytes(content));
  return hasher.Finish();
}

class ClaimChecksTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "claims_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    fs::create_directory(folder_ / "hub");
    options_.roots = {folder_ / "hub"};
    options_.watch = false;
    loop_ = *os::EventLoop::Create();
    catalog_ = *Catalog::Open(folder_ / "catalog");
    budget_ = std::make_unique<Budget>(ByteCount(64 * kMiB));
    reserve_ = std::make_unique<MemoryReserve>(*budget_, ByteCount());
    pool_ = std::make_unique<ThreadPool>(2);
    disks_ = std::make_unique<DiskThreads>(2);
    inspectors_ =
        std::make_unique<InspectorPool>(InspectorPoolOptions{.program = WARMSET_INSPECT_PROGRAM});
    cache_ = std::make_unique<ComponentCache>(
        *loop_, *budget_, *reserve_, *catalog_, *disks_, *MakeEvictionPolicy("lru", 64 * kMiB),
        ComponentCosts(), 1,
        ComponentCache::Events{
            .changed = [](const ComponentId&) {},
            .before_load = [] {},
            .describe = [](const ComponentId& id) { return id.Hex(); },
            .strategy_of = [](const ComponentId&) { return CacheStrategy::kSpeed; },
            .retention_of = [](const ComponentId&) { return EntryStore::Retention::kMedium; },
            .yield_memory = [this](const Entry* entry) { checks_->YieldMemory(entry); }});
    library_ = std::make_unique<LibraryService>(
        *loop_, *catalog_, *inspectors_, registry_, options_,
        LibraryService::Events{.dropped = [](const auto&, const auto&) {}, .found = [] {}});
    checks_ = std::make_unique<ClaimChecks>(
        *loop_, *library_, *cache_,
        ClaimChecks::Events{.checked =
                                [this](const ManifestFile& file, bool matches) {
                                  if (!matches) mismatches_.push_back(file.path);
                                },
                            .released = [this](const ComponentId&) { ++released_; }});
    uses_ = std::make_unique<ModelUse>(*loop_, *pool_, *disks_, registry_, *library_, *cache_,
                                       *catalog_, DiskPatience());
    thread_ = std::jthread([this] { loop_->Run(); });
  }
  void TearDown() override {
    OnLoop([&] { loop_->Stop(); });
    thread_.join();
    pool_.reset();
    disks_.reset();
    checks_->Stop();
    library_.reset();
    cache_->StopLoads();
    loop_.reset();
    cache_.reset();
    fs::remove_all(folder_);
  }

  // A repo of the hub's whose blob has the name of that hash.
  fs::path WriteRepo(const std::string& name, const std::string& content,
                     const std::string& claim) {
    const fs::path repo = folder_ / "hub" / ("models--org--" + name);
    for (const std::string& part :
         {std::string("blobs"), std::string("refs"), "snapshots/" + kCommit}) {
      fs::create_directories(repo / part);
    }
    const std::string blob = claim.substr(claim.find(':') + 1);
    std::ofstream(repo / "blobs" / blob, std::ios::binary) << content;
    std::ofstream(repo / "refs" / "main") << kCommit;
    fs::create_symlink("../../blobs/" + blob, repo / "snapshots" / kCommit / "model.safetensors");
    return repo / "blobs" / blob;
  }
  // Runs the task on the loop's thread, and waits for it.
  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_->Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }
  void Scan() {
    std::promise<Status> done;
    OnLoop([&] {
      library_->Scan({},
                     [&](const StatusOr<ScanReport>& report) { done.set_value(report.status()); });
    });
    EXPECT_TRUE(done.get_future().get().ok());
  }
  ModelSummary Named(const std::string& name) {
    ModelSummary summary;
    OnLoop([&] { summary = (*registry_.Find(name))->summary; });
    return summary;
  }
  // The use's answer; before it, `meanwhile` runs when the use is on its way.
  Status Use(const std::string& name, const std::function<void()>& meanwhile = [] {}) {
    std::promise<Status> done;
    OnLoop([&] {
      uses_->Use(
          {.model = (*registry_.Find(name))->summary.id, .user = "test"},
          [&](const StatusOr<ModelUse::Result>& result) { done.set_value(result.status()); });
      loop_->Post(meanwhile);
    });
    return done.get_future().get();
  }
  void Check(const ModelSummary& model) {
    OnLoop([&] { checks_->Check(model); });
  }
  ClaimState StateOf(const std::string& name) {
    return library_->claims().OfFiles(Named(name).files).state;
  }
  // Asks on the loop's thread again and again.
  void WaitUntil(const std::function<bool()>& condition) {
    for (bool met = false; !met; std::this_thread::yield()) {
      OnLoop([&] { met = condition(); });
    }
  }
  void WaitUntilIdle() {
    WaitUntil([&] { return checks_->idle(); });
  }

  fs::path folder_;
  Options options_;
  std::unique_ptr<os::EventLoop> loop_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Budget> budget_;
  std::unique_ptr<MemoryReserve> reserve_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<DiskThreads> disks_;
  ModelRegistry registry_;
  std::unique_ptr<ComponentCache> cache_;
  std::unique_ptr<InspectorPool> inspectors_;
  std::unique_ptr<LibraryService> library_;
  std::unique_ptr<ClaimChecks> checks_;
  std::unique_ptr<ModelUse> uses_;
  std::vector<std::string> mismatches_;
  int released_ = 0;
  std::jthread thread_;
};

TEST_F(ClaimChecksTest, AnIntactFileIsVerifiedOnce) {
  const std::string content = Safetensors('a');
  WriteRepo("good", content, Sha256(content));
  Scan();
  EXPECT_EQ(StateOf("org/good"), ClaimState::kUnchecked);
  ASSERT_TRUE(Use("org/good").ok());
  Check(Named("org/good"));
  Check(Named("org/good"));  // joins
  WaitUntilIdle();
  EXPECT_EQ(StateOf("org/good"), ClaimState::kVerified);
  EXPECT_EQ(released_, 1);
  EXPECT_THAT(mismatches_, IsEmpty());
  Check(Named("org/good"));
  EXPECT_TRUE(checks_->idle());
}

TEST_F(ClaimChecksTest, AWrongFileIsReportedAndRefusedFromThenOn) {
  WriteRepo("bad", Safetensors('b'), Sha256(Safetensors('a')));
  Scan();
  ASSERT_TRUE(Use("org/bad").ok());
  Check(Named("org/bad"));
  WaitUntilIdle();
  EXPECT_THAT(mismatches_, ElementsAre("model.safetensors"));
  EXPECT_EQ(StateOf("org/bad"), ClaimState::kMismatch);
  Scan();
  EXPECT_EQ(Named("org/bad").verdict, Verdict::kCorrupt);
  const Status refused = Use("org/bad");
  EXPECT_EQ(CodeOf(refused), ErrorCode::kCorruptedModel);
  EXPECT_THAT(std::string(Message(refused)), HasSubstr(Sha256(Safetensors('b'))));
}

TEST_F(ClaimChecksTest, AMismatchFoundWhileAUseIsOnItsWayLeavesNothing) {
  WriteRepo("bad", Safetensors('b'), Sha256(Safetensors('a')));
  Scan();
  const ModelSummary model = Named("org/bad");
  const Status refused = Use("org/bad", [&] {
    EXPECT_TRUE(library_->claims().Record(model.files[0], Sha256(Safetensors('b')), 1).ok());
  });
  EXPECT_EQ(CodeOf(refused), ErrorCode::kCorruptedModel);
  OnLoop([&] { EXPECT_FALSE(cache_->Has(model.components[0].id)); });
}

TEST_F(ClaimChecksTest, AFileReplacedAfterItsFillIsJudgedByWhatWasRead) {
  const std::string content = Safetensors('a');
  const fs::path blob = WriteRepo("good", content, Sha256(content));
  Scan();
  ASSERT_TRUE(Use("org/good").ok());
  const ModelSummary before = Named("org/good");
  std::ofstream(blob.string() + ".new", std::ios::binary) << Safetensors('b');
  fs::rename(blob.string() + ".new", blob);
  Check(before);
  WaitUntilIdle();
  EXPECT_EQ(library_->claims().OfFiles(before.files).state, ClaimState::kVerified);
  Scan();
  EXPECT_EQ(StateOf("org/good"), ClaimState::kUnchecked);
  EXPECT_EQ(Named("org/good").verdict, Verdict::kOk);
}

TEST_F(ClaimChecksTest, AFileThatIsNotInRamAndReplacedGivesNoResult) {
  const std::string content = Safetensors('a');
  const fs::path blob = WriteRepo("good", content, Sha256(content));
  Scan();
  const ModelSummary before = Named("org/good");
  std::ofstream(blob, std::ios::binary) << Safetensors('b') + "longer";
  Check(before);
  WaitUntilIdle();
  EXPECT_EQ(library_->claims().OfFiles(before.files).state, ClaimState::kUnchecked);
  EXPECT_THAT(mismatches_, IsEmpty());
}

TEST_F(ClaimChecksTest, MemoryThatIsWantedComesBackAndTheCheckGoesOn) {
  const std::string content = Safetensors('a');
  WriteRepo("good", content, Sha256(content));
  Scan();
  ASSERT_TRUE(Use("org/good").ok());
  const ModelSummary model = Named("org/good");
  Check(model);
  OnLoop([&] { EXPECT_EQ(cache_->Drop(model.components[0].id), EntryStore::Dropped::kFreed); });
  WaitUntilIdle();
  EXPECT_EQ(StateOf("org/good"), ClaimState::kVerified);
}

using ModelUseTest = ClaimChecksTest;

TEST_F(ModelUseTest, AResultIsOfTheRevisionThatWasUsed) {
  const std::string content = Safetensors('a');
  WriteRepo("model", content, Sha256(content));
  Scan();
  const ModelSummary used = Named("org/model");
  std::promise<StatusOr<ModelUse::Result>> done;
  OnLoop([&] {
    uses_->Use({.model = used.id, .user = "test"},
               [&](StatusOr<ModelUse::Result> result) { done.set_value(std::move(result)); });
    loop_->Post([&] {  // it has begun: now the files are another revision, with no component
      ModelSummary replaced = used;
      replaced.revision = RevisionId();
      replaced.components.clear();
      registry_.Put(replaced);
    });
  });
  auto result = done.get_future().get();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->model->revision, used.revision);
  ASSERT_EQ(result->components.size(), 1u);
  const uint32_t index = result->components[0].index;
  EXPECT_EQ(result->model->components.at(index).id, used.components.at(index).id);
  OnLoop([&] { result->components.clear(); });  // entries are let go on the loop
}

}  // namespace
}  // namespace warmset

// Tests with real helper processes, and with doubles that misbehave.
#include "isolate/inspector_pool.h"

#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "base/strong.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/test_safetensors.h"
#include "os/fault.h"
#include "os/file.h"

namespace warmset {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr milliseconds kNoLimit{600'000};  // ends no helper on a busy machine

class FolderFiles final : public FileProvider {
 public:
  explicit FolderFiles(std::string folder) : folder_(std::move(folder)) {}
  StatusOr<os::UniqueFd> Open(const std::string& path) override {
    return os::OpenForRead(folder_ + "/" + path);
  }

 private:
  const std::string folder_;
};

class InspectorPoolTest : public testing::Test, public FileProvider {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "pool_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    os::DisarmFault();
    std::filesystem::remove_all(folder_);
  }

  StatusOr<os::UniqueFd> Open(const std::string& path) override {
    opened_.push_back(path);
    return os::OpenForRead(folder_ + "/" + path);
  }

  void Write(const std::string& path, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(folder_ + "/" + path).parent_path());
    WriteTestFile(folder_ + "/" + path, content);
  }
  ModelFiles Sight(const std::vector<std::string>& paths,
                   ModelLayout layout = ModelLayout::kFile) const {
    ModelFiles model{.layout = layout, .files = {}};
    for (const std::string& path : paths) {
      model.files.push_back({path, *os::IdentifyPath(folder_ + "/" + path), ""});
    }
    return model;
  }
  // A file of that name with one tensor, which the double takes as an order.
  ModelFiles Order(const std::string& name) {
    Write(name, TestSafetensors({{"w", 8}}));
    return Sight({name});
  }
  static InspectorPoolOptions Real() {
    return {.program = WARMSET_INSPECT_PROGRAM, .time_limit = kNoLimit};
  }
  static InspectorPoolOptions Double() {
    return {.program = WARMSET_INSPECT_DOUBLE, .time_limit = kNoLimit};
  }

  std::string folder_;
  std::vector<std::string> opened_;
};

TEST_F(InspectorPoolTest, SaysWhatThisProcessWouldSay) {
  Write("a.safetensors", TestSafetensors({{"w", 8}, {"b", 4}}));
  Write("broken.safetensors", "{}");
  Write("pipe/model_index.json",
        R"({"_class_name":"P","unet":["diffusers","UNet2DConditionModel"]})");
  Write("pipe/unet/model.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors"}})");
  Write("pipe/unet/1.safetensors", TestSafetensors({{"a", 8}}));
  const ModelFiles models[] = {
      Sight({"a.safetensors"}), Sight({"broken.safetensors"}),
      Sight({"pipe/model_index.json", "pipe/unet/model.safetensors.index.json",
             "pipe/unet/1.safetensors"},
            ModelLayout::kTransformers)};
  InspectorPool pool(Real());
  InProcessInspector here;
  for (const ModelFiles& model : models) {
    const auto there = pool.Inspect(model, *this);
    ASSERT_TRUE(there.ok()) << there.status();
    EXPECT_EQ(there->encoded, here.Inspect(model, *this)->encoded);
    EXPECT_TRUE(there->lasting);
  }
  EXPECT_THAT(pool.IdleHelpers(), SizeIs(1));  // one after another needs no second
}

TEST_F(InspectorPoolTest, InspectsAPassedFile) {
  Write("a.safetensors", TestSafetensors({{"w", 8}}));
  const auto fd = os::OpenForRead(folder_ + "/a.safetensors");
  ASSERT_TRUE(fd.ok());
  InspectorPool pool(Real());
  const auto inspected = pool.InspectFile(fd->get(), "mine");
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  EXPECT_EQ(inspected->manifest.files[0].path, "mine");
  EXPECT_EQ(inspected->manifest.components[0].tensor_count, 1u);
  EXPECT_EQ(CodeOf(pool.InspectFile(-1, "none").status()), ErrorCode::kIoError);
}

TEST_F(InspectorPoolTest, ErrorsOfFilesCrossWithTheirCodes) {
  Write("a.safetensors", TestSafetensors({{"w", 8}}));
  ModelFiles model = Sight({"a.safetensors"});
  InspectorPool pool(Real());
  os::ArmFault({.call = "open", .nth = 1, .error_number = EIO, .keep_failing = true});
  EXPECT_EQ(CodeOf(pool.Inspect(model, *this).status()), ErrorCode::kIoError);
  os::DisarmFault();
  model.files[0].identity.mtime_ns ^= 1;
  EXPECT_EQ(CodeOf(pool.Inspect(model, *this).status()), ErrorCode::kFileChanged);
  std::filesystem::remove(folder_ + "/a.safetensors");
  const auto gone = pool.Inspect(model, *this);
  ASSERT_TRUE(gone.ok()) << gone.status();
  EXPECT_EQ(gone->manifest.verdict(), Verdict::kIncomplete);
}

TEST_F(InspectorPoolTest, ListsShards) {
  Write("index.json", R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors"}})");
  Write("hostile.json", R"({"weight_map":{"a":"../1.safetensors"}})");
  InspectorPool pool(Real());
  const auto list = [&](const std::string& name) {
    return pool.ShardsOf(os::OpenForRead(folder_ + "/" + name)->get());
  };
  const auto shards = list("index.json");
  ASSERT_TRUE(shards.ok()) << shards.status();
  EXPECT_THAT(*shards, ElementsAre("1.safetensors", "2.safetensors"));
  EXPECT_EQ(CodeOf(list("hostile.json").status()), ErrorCode::kUnsafeModel);
  EXPECT_THAT(pool.IdleHelpers(), SizeIs(1));
}

TEST_F(InspectorPoolTest, ServesManyThreads) {
  std::vector<ModelFiles> models;
  for (int i = 0; i < 40; ++i) {
    const std::string name = fmt::format("{}.safetensors", i);
    Write(name, TestSafetensors({{"w", 8}}));
    models.push_back(Sight({name}));
  }
  InspectorPool pool(Real());
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (size_t i = static_cast<size_t>(t); i < models.size(); i += 8) {
          FolderFiles files(folder_);
          const auto inspected = pool.Inspect(models[i], files);
          if (inspected.ok() && inspected->manifest.components.size() == 1) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 40);
  EXPECT_LE(pool.IdleHelpers().size(), 2u);  // and none ended with its caller's thread
  EXPECT_TRUE(pool.Inspect(models[0], *this).ok());
}

struct Death {
  const char* order;
  const char* words;
  bool lasting;
};
void PrintTo(const Death& death, std::ostream* out) { *out << death.order; }

class HelperDeathTest : public InspectorPoolTest, public testing::WithParamInterface<Death> {};

TEST_P(HelperDeathTest, IsAFindingAndTheNextModelIsRead) {
  const Death& death = GetParam();
  InspectorPool pool(Double());
  const auto inspected = pool.Inspect(Order(death.order), *this);
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  const Manifest& manifest = inspected->manifest;
  EXPECT_EQ(manifest.verdict(), Verdict::kCorrupt);
  ASSERT_THAT(manifest.findings, SizeIs(1));
  EXPECT_EQ(manifest.findings[0].path, death.order);
  EXPECT_EQ(manifest.findings[0].category, FindingCategory::kFileCorruption);
  EXPECT_THAT(manifest.findings[0].message, HasSubstr(death.words));
  EXPECT_EQ(inspected->lasting, death.lasting);
  EXPECT_EQ(EncodeManifest(manifest), inspected->encoded);
  EXPECT_THAT(pool.IdleHelpers(), IsEmpty());

  const auto next = pool.Inspect(Order("fine"), *this);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(next->manifest.verdict(), Verdict::kOk);
}

const Death kDeaths[] = {
    {"crash", "was killed by SIGSEGV", true},
    {"abort", "was killed by SIGABRT", true},
    {"socket", "was killed by SIGSYS", true},
    {"exec", "was killed by SIGSYS", true},
    {"exit", "exited with 3", false},
    {"no-manifest", "gave an answer that can't be true", true},
    {"other-file", "gave an answer that can't be true (a file that it was not given)", true},
    {"other-hash", "gave an answer that can't be true (a file that it was not given)", true},
    {"more-files", "gave an answer that can't be true (a file that it was not given)", true},
    {"other-layout", "gave an answer that can't be true (another layout)", true},
    {"other-component", "gave an answer that can't be true (the id of another component)", true},
};
INSTANTIATE_TEST_SUITE_P(All, HelperDeathTest, testing::ValuesIn(kDeaths), [](const auto& death) {
  std::string name = death.param.order;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST_F(InspectorPoolTest, AHelperHasNothingButItsSocket) {
  InspectorPool pool(Double());
  EXPECT_EQ(CodeOf(pool.Inspect(Order("open"), *this).status()), ErrorCode::kPermissionDenied);
  opened_.clear();
  Write("second", "");
  Order("ask-for-all");
  const auto refused = pool.Inspect(Sight({"ask-for-all", "second"}, ModelLayout::kSharded), *this);
  EXPECT_EQ(CodeOf(refused.status()), ErrorCode::kFileNotFound);
  EXPECT_THAT(opened_, IsEmpty());
}

TEST_F(InspectorPoolTest, AHelperThatHangsIsEnded) {
  InspectorPoolOptions options = Double();
  options.time_limit = milliseconds(200);
  InspectorPool pool(options);
  const auto inspected = pool.Inspect(Order("hang"), *this);
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  EXPECT_THAT(inspected->manifest.findings[0].message, HasSubstr("took longer than 0.2 s"));
  EXPECT_EQ(inspected->manifest.verdict(), Verdict::kUnsupported);
  EXPECT_FALSE(inspected->lasting);
  EXPECT_THAT(pool.IdleHelpers(), IsEmpty());
}

TEST_F(InspectorPoolTest, AHelperThatIsStoppedIsEnded) {
  InspectorPoolOptions options = Real();
  options.time_limit = milliseconds(200);
  InspectorPool pool(options);
  const ModelFiles model = Order("fine");
  // On a busy machine even this may take longer; then there is no helper to stop.
  while (pool.IdleHelpers().empty()) ASSERT_TRUE(pool.Inspect(model, *this).ok());
  const pid_t helper = pool.IdleHelpers()[0];
  ASSERT_EQ(::kill(helper, SIGSTOP), 0);
  const auto inspected = pool.Inspect(model, *this);
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  EXPECT_EQ(inspected->manifest.verdict(), Verdict::kUnsupported);
  EXPECT_EQ(::kill(helper, 0), -1);
}

TEST_F(InspectorPoolTest, AHelperThatWasKilledWhileIdleIsNoFilesFault) {
  InspectorPool pool(Real());
  const ModelFiles model = Order("fine");
  ASSERT_TRUE(pool.Inspect(model, *this).ok());
  const pid_t helper = pool.IdleHelpers()[0];
  ASSERT_EQ(::kill(helper, SIGKILL), 0);
  const auto pidfd = os::OpenPidFd(helper);
  if (pidfd.ok()) {
    ASSERT_TRUE(*os::WaitForEnd(pidfd->get(), std::chrono::seconds(60)));
  }
  const auto inspected = pool.Inspect(model, *this);
  ASSERT_TRUE(inspected.ok());
  EXPECT_EQ(inspected->manifest.verdict(), Verdict::kOk);
  EXPECT_NE(pool.IdleHelpers()[0], helper);
}

// Kills the helper that asks for a file.
class Killer final : public FileProvider {
 public:
  Killer(FileProvider& files, pid_t helper) : files_(files), helper_(helper) {}
  StatusOr<os::UniqueFd> Open(const std::string& path) override {
    ::kill(helper_, SIGKILL);
    return files_.Open(path);
  }

 private:
  FileProvider& files_;
  const pid_t helper_;
};

TEST_F(InspectorPoolTest, AHelperThatIsKilledAtWorkIsAFinding) {
  InspectorPool pool(Real());
  const ModelFiles one = Order("one.safetensors");
  const ModelFiles two = Sight({"one.safetensors", "one.safetensors"}, ModelLayout::kSharded);
  ASSERT_TRUE(pool.Inspect(one, *this).ok());
  Killer killer(*this, pool.IdleHelpers()[0]);
  const auto inspected = pool.Inspect(two, killer);
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  ASSERT_THAT(inspected->manifest.findings, SizeIs(1));
  EXPECT_THAT(inspected->manifest.findings[0].message, HasSubstr("was killed by SIGKILL"));
  EXPECT_EQ(inspected->manifest.findings[0].path, "one.safetensors");
  EXPECT_FALSE(inspected->lasting);
}

TEST_F(InspectorPoolTest, AnIndexThatTakesTooLongIsUnsupported) {
  InspectorPoolOptions options = Real();
  options.time_limit = milliseconds(0);
  InspectorPool pool(options);
  // Never read in no time at all.
  Write("index.json", R"({"weight_map":{"w":")" + std::string(64 << 20, 'x') + R"("}})");
  const auto shards = pool.ShardsOf(os::OpenForRead(folder_ + "/index.json")->get());
  EXPECT_EQ(CodeOf(shards.status()), ErrorCode::kUnsupportedFormat);
  EXPECT_THAT(Message(shards.status()), HasSubstr("took longer than 0 s"));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // these set no limit
// A file whose header says little in much text.
std::string BloatedHeader(size_t bytes) {
  std::string dims = "0";
  for (int i = 1; i < 64; ++i) dims += ",0";
  std::string header = "{";
  for (int i = 0; header.size() < bytes; ++i) {
    header += fmt::format(R"({}"{}":{{"dtype":"U8","shape":[{}],"data_offsets":[0,0]}})",
                          i == 0 ? "" : ",", i, dims);
  }
  header += "}";
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header;
}

TEST_F(InspectorPoolTest, RunningOutOfMemoryIsOurLimitAndNotTheFilesFault) {
  InspectorPoolOptions options = Real();
  options.memory_limit = 96 * kMiB;
  InspectorPool pool(options);
  Write("bloated.safetensors", BloatedHeader(20 * kMiB));
  const auto inspected = pool.Inspect(Sight({"bloated.safetensors"}), *this);
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  EXPECT_EQ(inspected->manifest.verdict(), Verdict::kUnsupported);
  EXPECT_THAT(inspected->manifest.findings[0].message, HasSubstr("ran out of memory"));
  EXPECT_THAT(inspected->manifest.findings[0].message, HasSubstr("may be whole"));
  EXPECT_TRUE(inspected->lasting);
}

TEST_F(InspectorPoolTest, AHelperThatGrewGivesItsMemoryBack) {
  InspectorPool pool(Real());
  Write("large.safetensors", BloatedHeader(20 * kMiB));
  const auto inspected = pool.Inspect(Sight({"large.safetensors"}), *this);
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  EXPECT_EQ(inspected->manifest.verdict(), Verdict::kOk);
  EXPECT_THAT(pool.IdleHelpers(), IsEmpty());
  EXPECT_TRUE(pool.Inspect(Order("small"), *this).ok());
  EXPECT_THAT(pool.IdleHelpers(), SizeIs(1));
}

// ru_maxrss survives execve(): a daemon that holds much once had a new helper for each
// of its models.
TEST_F(InspectorPoolTest, AHelperOfALargeProcessStays) {
  const std::string large(160 * kMiB, 'x');
  InspectorPool pool(Real());
  EXPECT_TRUE(pool.Inspect(Order("a"), *this).ok());
  const auto first = pool.IdleHelpers();
  EXPECT_THAT(first, SizeIs(1));
  EXPECT_TRUE(pool.Inspect(Order("b"), *this).ok());
  EXPECT_EQ(pool.IdleHelpers(), first);
  EXPECT_EQ(large.back(), 'x');  // still in use
}

TEST_F(InspectorPoolTest, MemoryThatAReaderNeverGivesBackIsAFinding) {
  InspectorPoolOptions options = Double();
  options.memory_limit = 128 * kMiB;
  InspectorPool pool(options);
  const auto inspected = pool.Inspect(Order("memory"), *this);
  ASSERT_TRUE(inspected.ok()) << inspected.status();
  EXPECT_THAT(inspected->manifest.findings[0].message, HasSubstr("ran out of memory"));
}
#endif

TEST_F(InspectorPoolTest, APoolWithoutItsProgramSaysSo) {
  for (const char* program : {"/nonexistent/warmset-inspect", "/bin/true"}) {
    InspectorPoolOptions options = Real();
    options.program = program;
    InspectorPool pool(options);
    const auto inspected = pool.Inspect(Order("fine"), *this);
    EXPECT_EQ(CodeOf(inspected.status()), ErrorCode::kInternal);
    EXPECT_THAT(Message(inspected.status()), HasSubstr(program));
  }
}

TEST_F(InspectorPoolTest, HelpersEndWithTheirPool) {
  pid_t helper = 0;
  {
    InspectorPool pool(Real());
    ASSERT_TRUE(pool.Inspect(Order("fine"), *this).ok());
    helper = pool.IdleHelpers()[0];
  }
  EXPECT_EQ(::kill(helper, 0), -1);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Last, since this process is large from then on.
// The most that the format allows, as far as it is likely: metadata, many tensors.
TEST_F(InspectorPoolTest, AHeaderOf99MbIsRead) {
  std::string metadata = R"({"__metadata__":{"tags":")" + std::string(47 * kMiB, 'x') + "\\n" +
                         std::string(47 * kMiB, 'y') + R"("},"w":{"dtype":"F32","shape":[2],)" +
                         R"("data_offsets":[0,8]}})";
  std::string tensors = "{";
  for (uint64_t i = 0; tensors.size() < 99'000'000; ++i) {
    tensors += fmt::format(
        R"({}"model.layers.{}.weight":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}})",
        i == 0 ? "" : ",", i, i, i + 1);
  }
  tensors += "}";
  const uint64_t count = static_cast<uint64_t>(std::count(tensors.begin(), tensors.end(), '[')) / 2;
  InspectorPoolOptions options = Real();
  options.time_limit = std::chrono::minutes(2);  // of a busy machine
  InspectorPool pool(options);
  for (const auto& [header, data] : {std::pair(&metadata, uint64_t{8}), {&tensors, count}}) {
    const uint64_t length = header->size();
    Write("large.safetensors", std::string(reinterpret_cast<const char*>(&length), sizeof length) +
                                   *header + std::string(data, 'd'));
    const auto inspected = pool.Inspect(Sight({"large.safetensors"}), *this);
    ASSERT_TRUE(inspected.ok()) << inspected.status();
    EXPECT_EQ(inspected->manifest.verdict(), Verdict::kOk)
        << inspected->manifest.findings[0].message;
    EXPECT_EQ(inspected->manifest.components.size(), 1u);
  }
}
#endif

}  // namespace
}  // namespace warmset

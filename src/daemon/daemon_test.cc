// The daemon in this process, with clients on threads: for ThreadSanitizer, and
// for what needs no other process. The rest is in tests/e2e.
#include "daemon/daemon.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <thread>
#include <utility>

#include "base/byte_reader.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/mapping.h"
#include "tensor/tensor_index.h"
#include "wire/channel.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr uint64_t kTensorBytes = 3 * kMiB;

// A safetensors file with one F32 tensor "w" whose bytes all are `fill`.
void WriteModel(const fs::path& path, char fill) {
  const std::string header = fmt::format(
      R"({{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})", kTensorBytes / 4,
      kTensorBytes);
  ByteWriter writer;
  writer.Write(static_cast<uint64_t>(header.size()));
  writer.WriteBytes(AsBytes(header));
  std::ofstream out(path, std::ios::binary);
  out << writer.data() << std::string(kTensorBytes, fill);
}

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "daemon_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    fs::create_directory(folder_ / "models");
    options_.socket = folder_ / "s.sock";
    options_.home = folder_ / "home";
    options_.roots = {folder_ / "models"};
    options_.inspect_program = WARMSET_INSPECT_PROGRAM;
    options_.devices.clear();  // no workers: another test's business
    options_.ram_limit = "64MiB";
    options_.reserve = ByteCount(0);
  }
  void TearDown() override {
    StopDaemon();
    fs::remove_all(folder_);
  }

  void StartDaemon() {
    auto daemon = Daemon::Start(options_);
    ASSERT_TRUE(daemon.ok()) << daemon.status();
    daemon_ = *std::move(daemon);
    thread_ = std::jthread([this] { daemon_->Run(); });
    v1::Request scan;
    scan.mutable_scan();
    ASSERT_TRUE(Connect().Call(scan).ok());
  }
  void StopDaemon() {
    if (daemon_ == nullptr) return;
    v1::Request request;
    request.mutable_shutdown();
    EXPECT_TRUE(Connect().Call(request).ok());
    thread_.join();
    daemon_.reset();
  }

  wire::Channel Connect() {
    auto channel = wire::Channel::Connect(options_.socket, "daemon_test");
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *std::move(channel);
  }
  static StatusOr<wire::Answer> Cache(wire::Channel& channel, const std::string& model) {
    v1::Request request;
    request.mutable_cache()->set_model(model);
    return channel.Call(request);
  }
  static StatusOr<wire::Answer> Attach(wire::Channel& channel, const std::string& model) {
    v1::Request request;
    request.mutable_attach()->set_model(model);
    return channel.Call(request);
  }
  static v1::UncacheReply Uncache(wire::Channel& channel, const std::string& model) {
    v1::Request request;
    request.mutable_uncache()->set_model(model);
    auto answer = channel.Call(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->response.uncache() : v1::UncacheReply();
  }
  static v1::MemoryUse Memory(wire::Channel& channel) {
    v1::Request request;
    request.mutable_get_status();
    auto answer = channel.Call(request);
    EXPECT_TRUE(answer.ok());
    return answer->response.status().memory();
  }
  static v1::ModelState StateOf(wire::Channel& channel, const std::string& model) {
    v1::Request request;
    request.mutable_get_model_state()->add_names(model);
    auto answer = channel.Call(request);
    EXPECT_TRUE(answer.ok());
    return answer->response.states().results(0).state();
  }
  static void CacheCompressed(wire::Channel& channel, const std::string& model) {
    ASSERT_TRUE(Cache(channel, model).ok());
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (StateOf(channel, model).raw_bytes() > 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  static char FirstByteOf(const wire::Answer& answer) {
    const v1::AttachedComponent& attached = answer.response.attached();
    auto index = os::Mapping::Create(answer.fds[0].get(), os::Identify(answer.fds[0].get())->size,
                                     os::Mapping::Kind::kSharedReadOnly);
    auto data = os::Mapping::Create(answer.fds[1].get(), attached.bytes(),
                                    os::Mapping::Kind::kPrivateReadWrite);
    const auto parsed = TensorIndex::Parse(index->span());
    return static_cast<char>(data->data()[parsed->tensor(0).offset]);
  }

  fs::path folder_;
  Options options_;
  std::unique_ptr<Daemon> daemon_;
  std::jthread thread_;
};

TEST_F(DaemonTest, FromAFileToBytesInAClientsHands) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  StartDaemon();
  wire::Channel client = Connect();
  auto cached = Cache(client, "a.safetensors");
  ASSERT_TRUE(cached.ok()) << cached.status();
  EXPECT_GT(cached->response.cache().loaded_bytes(), kTensorBytes);
  EXPECT_EQ(cached->response.cache().state().cache_state(), v1::CACHED);
  auto attached = Attach(client, "a");
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_EQ(FirstByteOf(*attached), 'a');
}

TEST_F(DaemonTest, WhatIsDamagedInCompressedMemoryIsLoadedAgain) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  options_.strategy = CacheStrategy::kMemory;
  StartDaemon();
  wire::Channel client = Connect();
  CacheCompressed(client, "a");
  os::ArmFault({.call = "compressed_memory", .nth = 1, .error_number = EIO});
  auto attached = Attach(client, "a");
  EXPECT_EQ(os::DisarmFault(), 1);
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_EQ(FirstByteOf(*attached), 'a');

  v1::Request usage;
  usage.mutable_get_cache_usage();
  const auto answer = client.Call(usage);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->response.cache_usage().evictions_size(), 1);
  EXPECT_THAT(answer->response.cache_usage().evictions(0).reason(), HasSubstr("damaged"));
}

TEST_F(DaemonTest, TensorsOfDamagedCompressedMemoryComeFromTheFile) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  options_.strategy = CacheStrategy::kMemory;
  StartDaemon();
  wire::Channel client = Connect();
  CacheCompressed(client, "a");
  v1::Request request;
  request.mutable_attach()->set_model("a");
  request.mutable_attach()->add_tensors("w");
  os::ArmFault({.call = "compressed_memory", .nth = 1, .error_number = EIO});
  auto attached = client.Call(request);
  EXPECT_EQ(os::DisarmFault(), 1);
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_EQ(FirstByteOf(*attached), 'a');
}

TEST_F(DaemonTest, ADeviceGetsTheFileWhereCompressedMemoryIsDamaged) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  options_.strategy = CacheStrategy::kMemory;
  options_.devices = {{.id = DeviceId("host:0"), .memory = ByteCount(64 * kMiB)}};
  options_.worker_program = WARMSET_WORKER_PROGRAM;
  StartDaemon();
  wire::Channel client = Connect();
  CacheCompressed(client, "a");
  v1::Request load;
  load.mutable_load()->set_model("a");
  load.mutable_load()->set_pool("dedicated");
  os::ArmFault({.call = "compressed_memory", .nth = 1, .error_number = EIO});
  const auto loaded = client.Call(load);
  EXPECT_EQ(os::DisarmFault(), 1);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_GE(loaded->response.load().loaded_bytes(), kTensorBytes);

  v1::Request attach;
  attach.mutable_attach()->set_model("a");
  attach.mutable_attach()->set_device("host:0");
  const auto attached = client.Call(attach);
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_EQ(FirstByteOf(*attached), 'a');
}

TEST_F(DaemonTest, ClientsThatWantTheSameShareOneLoad) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  StartDaemon();
  std::vector<uint64_t> read(4);
  {
    std::vector<std::jthread> clients;
    for (uint64_t& bytes : read) {
      clients.emplace_back([this, &bytes] {
        wire::Channel client = Connect();
        auto attached = Attach(client, "a");
        ASSERT_TRUE(attached.ok()) << attached.status();
        bytes = attached->response.attached().bytes();
        EXPECT_EQ(FirstByteOf(*attached), 'a');
      });
    }
  }
  wire::Channel client = Connect();
  const v1::MemoryUse memory = Memory(client);
  EXPECT_EQ(memory.loading(), 0u);
  EXPECT_LT(memory.entries(), 2 * kTensorBytes);
}

TEST_F(DaemonTest, TheLeastRecentlyUsedMakesRoomAndIsNamed) {
  for (const char name : {'a', 'b', 'c'}) {
    WriteModel(folder_ / fmt::format("models/{}.safetensors", name), name);
  }
  options_.ram_limit = "7MiB";
  options_.eviction = "lru";  // the default weighs how long each load took
  StartDaemon();
  wire::Channel client = Connect();
  ASSERT_TRUE(Cache(client, "a").ok());
  ASSERT_TRUE(Cache(client, "b").ok());
  ASSERT_TRUE(Cache(client, "a").ok());  // used again: b goes first
  auto cached = Cache(client, "c");
  ASSERT_TRUE(cached.ok()) << cached.status();
  ASSERT_EQ(cached->response.cache().evicted_size(), 1);
  EXPECT_EQ(cached->response.cache().evicted(0), "b.safetensors");
  const v1::MemoryUse memory = Memory(client);
  EXPECT_LE(memory.entries(), memory.limit());
}

TEST_F(DaemonTest, WhatIsLeasedIsNotEvictedAndItsHolderIsNamed) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  WriteModel(folder_ / "models/b.safetensors", 'b');
  options_.ram_limit = "4MiB";
  StartDaemon();
  wire::Channel holder = Connect();
  ASSERT_TRUE(Attach(holder, "a").ok());
  wire::Channel client = Connect();
  const Status status = Cache(client, "b").status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kRamLimitExceeded);
  EXPECT_THAT(std::string(Message(status)), HasSubstr(fmt::format("pid {}", ::getpid())));
}

TEST_F(DaemonTest, UncachedMemoryFollowsTheLastLease) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  StartDaemon();
  wire::Channel client = Connect();
  {
    wire::Channel holder = Connect();
    ASSERT_TRUE(Attach(holder, "a").ok());
    const v1::UncacheReply reply = Uncache(client, "a");
    EXPECT_EQ(reply.freed_bytes(), 0u);
    ASSERT_EQ(reply.kept_size(), 1);
    EXPECT_GT(Memory(client).uncached_but_mapped(), kTensorBytes);
  }
  // The holder's end is seen by the loop in its own time.
  while (Memory(client).uncached_but_mapped() > 0) std::this_thread::yield();
  EXPECT_EQ(Memory(client).entries(), 0u);
}

TEST_F(DaemonTest, AFileReplacedInPlaceIsTheNewOne) {
  const fs::path path = folder_ / "models/a.safetensors";
  WriteModel(path, 'a');
  StartDaemon();
  wire::Channel client = Connect();
  ASSERT_TRUE(Attach(client, "a").ok());
  WriteModel(folder_ / "new", 'n');
  fs::rename(folder_ / "new", path);
  auto attached = Attach(client, "a");
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_EQ(FirstByteOf(*attached), 'n');
}

TEST_F(DaemonTest, ContentReplacedBehindTheMtimeIsCorruption) {
  const fs::path path = folder_ / "models/a.safetensors";
  WriteModel(path, 'a');
  options_.watch = false;
  StartDaemon();
  wire::Channel client = Connect();
  ASSERT_TRUE(Cache(client, "a").ok());
  const auto before = *os::IdentifyPath(path);
  const timespec mtime{before.mtime_ns / 1'000'000'000, before.mtime_ns % 1'000'000'000};
  const timespec times[2] = {mtime, mtime};
  do {
    WriteModel(path, '\0');
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  } while (os::IdentifyPath(path)->ctime_ns == before.ctime_ns);
  const Status status = Attach(client, "a").status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptedModel) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr("w"));
}

TEST_F(DaemonTest, AFilePassedFromOutsideTheRootsIsServed) {
  StartDaemon();
  WriteModel(folder_ / "elsewhere.safetensors", 'e');
  auto file = os::OpenForRead(folder_ / "elsewhere.safetensors");
  ASSERT_TRUE(file.ok());
  wire::Channel client = Connect();
  v1::Request request;
  request.mutable_attach()->set_file(true);
  request.mutable_attach()->set_file_path(folder_ / "elsewhere.safetensors");
  auto attached = client.Call(request, {wire::Share(*std::move(file))});
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_EQ(attached->response.attached().model(), "elsewhere.safetensors");
  EXPECT_EQ(FirstByteOf(*attached), 'e');
}

TEST_F(DaemonTest, APathOpensTheFilesBytesUntilItIsUncached) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  StartDaemon();
  wire::Channel client = Connect();
  v1::Request request;
  request.mutable_get_path()->set_model("a");
  auto answer = client.Call(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  const std::string path = answer->response.path().path();
  const auto served = os::ReadSmallFile(path, 8 * kMiB);
  const auto on_disk = os::ReadSmallFile(folder_ / "models/a.safetensors", 8 * kMiB);
  ASSERT_TRUE(served.ok()) << served.status();
  EXPECT_TRUE(*served == *on_disk);
  Uncache(client, "a");
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(DaemonTest, AnEntryMadeForAPathAloneGoesWithIt) {
  // Two groups of tensors: two components, of which neither is the file.
  const std::string header =
      R"({"first_stage_model.w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
      R"("model.diffusion_model.w":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}})";
  ByteWriter writer;
  writer.Write(static_cast<uint64_t>(header.size()));
  writer.WriteBytes(AsBytes(header));
  std::ofstream(folder_ / "models/split.safetensors", std::ios::binary)
      << writer.data() << std::string(16, 'x');
  StartDaemon();
  wire::Channel client = Connect();
  v1::Request request;
  request.mutable_get_path()->set_model("split");
  auto answer = client.Call(request);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_GT(Memory(client).entries(), 0u);
  Uncache(client, "split");
  while (Memory(client).uncached_but_mapped() > 0) std::this_thread::yield();
  EXPECT_EQ(Memory(client).entries(), 0u);
}

TEST_F(DaemonTest, ARestartBringsBackWhatWasCached) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  WriteModel(folder_ / "models/b.safetensors", 'b');
  StartDaemon();
  {
    wire::Channel client = Connect();
    ASSERT_TRUE(Cache(client, "a").ok());
    ASSERT_TRUE(Cache(client, "b").ok());
    Uncache(client, "b");
  }
  StopDaemon();
  StartDaemon();
  wire::Channel client = Connect();
  while (Memory(client).entries() == 0) std::this_thread::yield();
  v1::Request request;
  request.mutable_list_active();
  auto active = client.Call(request);
  ASSERT_TRUE(active.ok());
  ASSERT_EQ(active->response.active().models_size(), 1);
  EXPECT_EQ(active->response.active().models(0).state().name(), "a.safetensors");
}

TEST_F(DaemonTest, ASecondDaemonOnTheSameHomeIsTold) {
  StartDaemon();
  Options second = options_;
  second.socket = folder_ / "other.sock";
  EXPECT_EQ(CodeOf(Daemon::Start(second).status()), ErrorCode::kAlreadyRunning);
}

// With files of `warmset path` on tmpfs, as by default.
class DaemonPathTest : public DaemonTest {
 protected:
  void SetUp() override {
    DaemonTest::SetUp();
    std::string folder = "/dev/shm/warmset-daemon-test-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) GTEST_SKIP() << "no /dev/shm to write to";
    options_.path_dir = folder;
  }
  void TearDown() override {
    os::DisarmFault();
    DaemonTest::TearDown();
    fs::remove_all(options_.path_dir);
  }

  static v1::PathReply PathOf(wire::Channel& channel, const std::string& model) {
    v1::Request request;
    request.mutable_get_path()->set_model(model);
    auto answer = channel.Call(request);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->response.path() : v1::PathReply();
  }
  static std::string ContentOf(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

TEST_F(DaemonPathTest, WithoutAFileOfItsOwnAPathIsALinkAndSaysWhy) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  const std::string content = ContentOf(folder_ / "models/a.safetensors");
  StartDaemon();
  wire::Channel client = Connect();
  const std::pair<const char*, int> kFaults[] = {{"statvfs", EIO},
                                                 {"open_unnamed", ENOSPC},
                                                 {"madvise_populate", ENOSPC},
                                                 {"fcntl_lease", EAGAIN},
                                                 {"linkat", ENOSPC}};
  for (const bool cached_before : {false, true}) {
    for (const auto& [call, error] : kFaults) {
      SCOPED_TRACE(fmt::format("{}, {}", call, cached_before ? "cached" : "not in RAM"));
      if (cached_before) {
        ASSERT_TRUE(Cache(client, "a").ok());
      }
      os::ArmFault({.call = call, .nth = 1, .error_number = error, .keep_failing = true});
      const v1::PathReply linked = PathOf(client, "a");
      EXPECT_GT(os::DisarmFault(), 0);
      EXPECT_NE(linked.reason(), "");
      ASSERT_EQ(linked.parts_size(), 1);
      EXPECT_FALSE(linked.parts(0).guarded());
      EXPECT_TRUE(fs::is_symlink(linked.path())) << linked.path();
      EXPECT_EQ(ContentOf(linked.path()), content);
      EXPECT_LE(Memory(client).entries(), content.size() + 64 * kKiB);

      // The next one finds room, and takes the link's place.
      if (std::string_view(call) != "linkat") {
        const v1::PathReply named = PathOf(client, "a");
        EXPECT_EQ(named.reason(), "");
        EXPECT_EQ(named.path(), linked.path());
        EXPECT_FALSE(fs::is_symlink(named.path()));
        EXPECT_EQ(ContentOf(named.path()), content);
      }
      Uncache(client, "a");
      EXPECT_EQ(Memory(client).entries(), 0u);
      EXPECT_FALSE(fs::exists(fs::symlink_status(linked.path())));
    }
  }
}

TEST_F(DaemonPathTest, AFileThatIsOpenedForWritingIsWithdrawnBeforeAByteChanges) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  const std::string content = ContentOf(folder_ / "models/a.safetensors");
  StartDaemon();
  wire::Channel client = Connect();
  const std::string path = PathOf(client, "a").path();
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  {
    std::ofstream writer(path, std::ios::binary | std::ios::in);  // blocks until it is withdrawn
    ASSERT_TRUE(writer.is_open());
    writer << "harm";
  }
  // It was unlinked before the writer went on; what is asked for now is filled again.
  EXPECT_EQ(ContentOf(PathOf(client, "a").path()), content);
  auto attached = Attach(client, "a");
  ASSERT_TRUE(attached.ok()) << attached.status();
  EXPECT_EQ(FirstByteOf(*attached), 'a');
}

TEST_F(DaemonTest, AStateIsSmall) {
  WriteModel(folder_ / "models/a.safetensors", 'a');
  StartDaemon();
  wire::Channel client = Connect();
  ASSERT_TRUE(Cache(client, "a").ok());
  v1::Request request;
  request.mutable_get_model_state()->add_names("a");
  auto answer = client.Call(request);
  ASSERT_TRUE(answer.ok());
  EXPECT_LE(answer->response.states().results(0).state().ByteSizeLong(), 300u);
}

}  // namespace
}  // namespace warmset

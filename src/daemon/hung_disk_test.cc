// A disk that does not answer, by the fault seam. With a real file system: tests/e2e.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/byte_reader.h"
#include "daemon/daemon.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "wire/channel.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class HungDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "hung_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    for (const char* const name : {"net/warm", "net/cold", "local"}) WriteModel(name);
    options_.socket = folder_ / "s.sock";
    options_.home = folder_ / "home";
    options_.roots = {folder_ / "models"};
    options_.inspect_program = WARMSET_INSPECT_PROGRAM;
    options_.devices.clear();
    options_.ram_limit = "64MiB";
    options_.reserve = ByteCount(0);
    options_.patience = {.check = std::chrono::milliseconds(20),
                         .standstill = std::chrono::milliseconds(100)};
    auto daemon = Daemon::Start(options_);
    ASSERT_TRUE(daemon.ok()) << daemon.status();
    daemon_ = *std::move(daemon);
    thread_ = std::jthread([this] { daemon_->Run(); });
    v1::Request scan;
    scan.mutable_scan();
    ASSERT_TRUE(Call(scan).ok());
    // As on a network file system: then files are not looked at by the loop.
    os::ArmFault({.call = "statfs", .error_number = EIO, .keep_failing = true, .path = "/net/"});
    for (const char* const name : {"warm", "local"}) ASSERT_TRUE(Call(Cache(name)).ok());
    os::ArmFault({.call = "stat", .keep_failing = true, .hangs = true, .path = "/net/"});
  }
  void TearDown() override {
    os::DisarmFault();
    thread_.join();
    daemon_.reset();
    fs::remove_all(folder_);
  }

  void WriteModel(const std::string& name) {
    const std::string header =
        fmt::format(R"({{"{}":{{"dtype":"F32","shape":[1024],"data_offsets":[0,4096]}}}})", name);
    ByteWriter writer;
    writer.Write(static_cast<uint64_t>(header.size()));
    writer.WriteBytes(AsBytes(header));
    const fs::path path = folder_ / "models" / (name + ".safetensors");
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << writer.data() << std::string(4096, name.back());
  }
  StatusOr<wire::Answer> Call(const v1::Request& request) const {
    ASSIGN_OR_RETURN(wire::Channel channel, wire::Channel::Connect(options_.socket, "test"));
    return channel.Call(request);
  }
  static v1::Request Cache(const std::string& model) {
    v1::Request request;
    request.mutable_cache()->set_model(model);
    return request;
  }
  void ShutDown() {
    v1::Request request;
    request.mutable_shutdown();
    EXPECT_TRUE(Call(request).ok());
  }

  fs::path folder_;
  Options options_;
  std::unique_ptr<Daemon> daemon_;
  std::jthread thread_;
};

TEST_F(HungDiskTest, WhatIsInRamIsServedWithAWarning) {
  const auto warm = Call(Cache("warm"));
  ASSERT_TRUE(warm.ok()) << warm.status();
  ASSERT_EQ(warm->response.warnings_size(), 1);
  EXPECT_THAT(warm->response.warnings(0), HasSubstr("/net/warm.safetensors does not answer"));
  const auto local = Call(Cache("local"));
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_EQ(local->response.warnings_size(), 0);
  ShutDown();
}

TEST_F(HungDiskTest, WhatMustBeReadTimesOutAndIsReadLater) {
  const auto cold = Call(Cache("cold"));
  EXPECT_EQ(CodeOf(cold.status()), ErrorCode::kTimeout);
  EXPECT_THAT(std::string(Message(cold.status())), HasSubstr("/net/cold.safetensors"));
  os::DisarmFault();
  EXPECT_TRUE(Call(Cache("cold")).ok());
  EXPECT_EQ(Call(Cache("warm"))->response.warnings_size(), 0);
  ShutDown();
}

TEST_F(HungDiskTest, TheDaemonEndsAndLeavesThreadsBehind) {
  EXPECT_EQ(CodeOf(Call(Cache("cold")).status()), ErrorCode::kTimeout);
  ShutDown();
  thread_.join();
  EXPECT_FALSE(daemon_->Close());
  EXPECT_FALSE(fs::exists(options_.socket));
  // Nothing of it is in the way of the next one.
  auto next = Daemon::Start(options_);
  EXPECT_TRUE(next.ok()) << next.status();
  next->reset();
  os::DisarmFault();
  thread_ = std::jthread([] {});
}

}  // namespace
}  // namespace warmset

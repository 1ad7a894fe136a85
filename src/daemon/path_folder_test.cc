#include "daemon/path_folder.h"

#include <array>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/memory_file.h"
#include "os/signal_fd.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

const ComponentId kComponent = DigestOf<ComponentId>(AsBytes("component"));

class PathFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "path_folder_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern + "/links";
    links_only_.instead = folder_;
  }
  void TearDown() override { fs::remove_all(fs::path(folder_).parent_path()); }

  static std::string Folder(const StatusOr<PathFolder::Placed>& placed) {
    EXPECT_TRUE(placed.ok()) << placed.status();
    return placed.ok() ? placed->folder : "";
  }

  std::string folder_;
  PathFolder::Place links_only_;  // no tmpfs
  const ModelId model_ = DigestOf<ModelId>(AsBytes("model"));
};

TEST_F(PathFolderTest, ALinkOpensAsTheMemory) {
  auto links = PathFolder::Create(links_only_);
  ASSERT_TRUE(links.ok()) << links.status();
  auto memory = os::MakeSealedFile("warmset-test", AsBytes("warm"));
  ASSERT_TRUE(memory.ok());
  const auto placed = links->Update(model_, {{"vae/model.safetensors", {.memory = &*memory}}});
  ASSERT_TRUE(placed.ok()) << placed.status();
  const auto content = os::ReadSmallFile(placed->folder + "/vae/model.safetensors", 100);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(*content, "warm");
}

TEST_F(PathFolderTest, NothingIsLeftBehind) {
  fs::create_directories(folder_ + "/left-by-a-crash");
  {
    auto links = PathFolder::Create(links_only_);
    ASSERT_TRUE(links.ok());
    EXPECT_TRUE(fs::is_empty(folder_));
    ASSERT_TRUE(links->Update(model_, {{"config.json", {nullptr, "/etc/hostname"}}}).ok());
    links->Remove(model_);
    EXPECT_TRUE(fs::is_empty(folder_));
  }
  EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(PathFolderTest, ANameThatIsRightStays) {
  auto links = PathFolder::Create(links_only_);
  ASSERT_TRUE(links.ok());
  const std::map<std::string, PathTarget> first = {{"config.json", {nullptr, "/etc/hostname"}},
                                                   {"unet/model.bin", {nullptr, "/etc/hosts"}}};
  const std::string folder = Folder(links->Update(model_, first));
  const auto inode = [&](const std::string& name) {
    struct stat st{};
    EXPECT_EQ(::lstat((folder + "/" + name).c_str(), &st), 0) << name;
    return st.st_ino;
  };
  const auto config = inode("config.json");
  const auto weights = inode("unet/model.bin");
  ASSERT_TRUE(links->Update(model_, first).ok());
  EXPECT_EQ(inode("config.json"), config);
  EXPECT_EQ(inode("unet/model.bin"), weights);
  // One name leads elsewhere now, and one is gone.
  ASSERT_TRUE(links->Update(model_, {{"unet/model.bin", {nullptr, "/etc/passwd"}}}).ok());
  EXPECT_EQ(fs::read_symlink(folder + "/unet/model.bin"), "/etc/passwd");
  EXPECT_FALSE(fs::exists(fs::symlink_status(folder + "/config.json")));
}

TEST_F(PathFolderTest, AFolderTakesThePlaceOfAFileAndBack) {
  auto links = PathFolder::Create(links_only_);
  ASSERT_TRUE(links.ok());
  ASSERT_TRUE(links->Update(model_, {{"weights", {nullptr, "/etc/hosts"}}}).ok());
  const auto placed = links->Update(model_, {{"weights/a", {nullptr, "/etc/hosts"}}});
  ASSERT_TRUE(placed.ok()) << placed.status();
  EXPECT_TRUE(fs::is_directory(placed->folder + "/weights"));
  ASSERT_TRUE(links->Update(model_, {{"weights", {nullptr, "/etc/hosts"}}}).ok());
  EXPECT_TRUE(fs::is_symlink(placed->folder + "/weights"));
}

TEST_F(PathFolderTest, WhatFailsLeavesWhatWasThere) {
  auto links = PathFolder::Create(links_only_);
  ASSERT_TRUE(links.ok());
  const std::string folder = Folder(links->Update(model_, {{"a", {nullptr, "/etc/hosts"}}}));
  for (const char* call : {"symlink", "rename"}) {
    os::ArmFault({.call = call, .nth = 1, .error_number = ENOSPC});
    EXPECT_FALSE(links->Update(model_, {{"a", {nullptr, "/etc/passwd"}}}).ok()) << call;
    EXPECT_EQ(os::DisarmFault(), 1) << call;
    EXPECT_EQ(fs::read_symlink(folder + "/a"), "/etc/hosts");
  }
  EXPECT_TRUE(links->Update(model_, {{"a", {nullptr, "/etc/passwd"}}}).ok());
}

TEST_F(PathFolderTest, NoOtherProgramChangesAFolderByMistake) {
  auto links = PathFolder::Create(links_only_);
  ASSERT_TRUE(links.ok());
  const std::string folder = Folder(links->Update(model_, {{"unet/a", {nullptr, "/etc/hosts"}}}));
  for (const std::string& each : {folder, folder + "/unet"}) {
    EXPECT_EQ(fs::status(each).permissions() & fs::perms::owner_write, fs::perms::none) << each;
  }
}

// On a tmpfs, as it is by default.
class NamedFilesTest : public PathFolderTest {
 protected:
  void SetUp() override {
    PathFolderTest::SetUp();
    signals_ = *os::MakeSignalFd(std::array{SIGIO});
    tmpfs_ = "/dev/shm/warmset-path-test-XXXXXX";
    if (::mkdtemp(tmpfs_.data()) == nullptr) GTEST_SKIP() << "no /dev/shm to write to";
    place_.tmpfs = tmpfs_;
    place_.name = "home";
    place_.instead = folder_;
  }
  void TearDown() override {
    PathFolderTest::TearDown();
    fs::remove_all(tmpfs_);
  }

  static os::MemoryFile Fill(const PathFolder& files, std::string_view content) {
    auto memory = files.MakeMemory(kComponent, content.size(), {});
    EXPECT_TRUE(memory.ok()) << memory.status();
    if (!memory.ok()) return {};
    std::memcpy(memory->writable().data(), content.data(), content.size());
    EXPECT_TRUE(memory->Seal().ok());
    return *std::move(memory);
  }

  os::UniqueFd signals_;
  std::string tmpfs_;
  PathFolder::Place place_;
};

TEST_F(NamedFilesTest, AGuardedFileHasItsRealName) {
  auto files = PathFolder::Create(place_);
  ASSERT_TRUE(files.ok()) << files.status();
  const os::MemoryFile memory = Fill(*files, "warm");
  const auto placed = files->Update(model_, {{"unet/model.onnx", {.memory = &memory}}});
  ASSERT_TRUE(placed.ok()) << placed.status();
  EXPECT_TRUE(placed->links.empty());
  const std::string path = placed->folder + "/unet/model.onnx";
  EXPECT_EQ(fs::canonical(path), path);
  EXPECT_EQ(os::ReadSmallFile(path, 10).value_or(""), "warm");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms(0400));
  EXPECT_EQ(fs::hard_link_count(path), 1u);
  EXPECT_FALSE(memory.lease().broken());

  // Other content under the same name; a program that has the first one keeps it.
  const auto opened = os::OpenForRead(path);
  const os::MemoryFile other = Fill(*files, "warmer");
  ASSERT_TRUE(files->Update(model_, {{"unet/model.onnx", {.memory = &other}}}).ok());
  EXPECT_EQ(os::ReadSmallFile(path, 10).value_or(""), "warmer");
  EXPECT_EQ(os::ReadSmallFile(opened->get(), 10).value_or(""), "warm");
}

TEST_F(NamedFilesTest, WhereItCantBeNamedItIsALinkAndTheReasonIsKnown) {
  auto files = PathFolder::Create(place_);
  ASSERT_TRUE(files.ok()) << files.status();
  const os::MemoryFile memory = Fill(*files, "warm");
  os::ArmFault({.call = "linkat", .error_number = ENOSPC});
  const auto placed = files->Update(model_, {{"a", {.memory = &memory}}});
  EXPECT_EQ(os::DisarmFault(), 1);
  ASSERT_TRUE(placed.ok()) << placed.status();
  ASSERT_EQ(placed->links.count("a"), 1u);
  EXPECT_EQ(os::ReadSmallFile(placed->folder + "/a", 10).value_or(""), "warm");
}

TEST_F(NamedFilesTest, WithoutRoomThereIsNoMemoryAndTheReasonSaysWhatToDo) {
  auto files = PathFolder::Create(place_);
  ASSERT_TRUE(files.ok()) << files.status();
  const Status none = files->MakeMemory(kComponent, uint64_t{1} << 50, {}).status();
  EXPECT_THAT(std::string(Message(none)), testing::HasSubstr("set path_dir"));
}

// What a daemon leaves that is killed.
TEST_F(NamedFilesTest, TheNextOneTakesOverWhatItKnowsAndRemovesTheRest) {
  const ModelId other = DigestOf<ModelId>(AsBytes("other model"));
  std::string folder, other_folder;
  os::FileIdentity identity;
  {
    auto files = PathFolder::Create(place_);
    ASSERT_TRUE(files.ok()) << files.status();
    const os::MemoryFile memory = Fill(*files, "warm");
    const os::MemoryFile unknown = Fill(*files, "cold");
    identity = *os::Identify(memory.fd());
    folder = Folder(files->Update(model_, {{"a.gguf", {.memory = &memory}},
                                           {"b.gguf", {.memory = &unknown}},
                                           {"config.json", {nullptr, "/etc/hosts"}}}));
    other_folder = Folder(files->Update(other, {{"a.gguf", {.memory = &unknown}}}));
    files->Keep(model_);
    files->Keep(other);
  }
  ASSERT_TRUE(fs::exists(folder + "/a.gguf"));
  auto files =
      PathFolder::Create(place_, {{kComponent, identity.device, identity.inode, identity.size}});
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_TRUE(fs::exists(folder + "/a.gguf"));
  EXPECT_FALSE(fs::exists(folder + "/b.gguf"));
  EXPECT_TRUE(fs::exists(folder + "/config.json"));
  EXPECT_FALSE(fs::exists(other_folder));

  auto taken = files->MakeMemory(kComponent, 4, {});
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_TRUE(taken->guarded());
  const auto again = files->MakeMemory(kComponent, 4, {});
  EXPECT_FALSE(again->guarded());
  const auto placed = files->Update(model_, {{"a.gguf", {.memory = &*taken}}});
  ASSERT_TRUE(placed.ok()) << placed.status();
  EXPECT_TRUE(placed->links.empty());
  EXPECT_EQ(os::IdentifyPath(folder + "/a.gguf")->inode, identity.inode);
  files->RemoveAllBut({});
  EXPECT_FALSE(fs::exists(folder));
}

TEST_F(NamedFilesTest, AChosenPlaceMustBeOnTmpfsAndPrivate) {
  place_.required = true;
  place_.tmpfs = fs::path(folder_).parent_path();
  EXPECT_EQ(CodeOf(PathFolder::Create(place_).status()), ErrorCode::kInvalidConfig);
  place_.tmpfs = tmpfs_;
  ASSERT_EQ(::chmod(tmpfs_.c_str(), 0777), 0);
  EXPECT_EQ(CodeOf(PathFolder::Create(place_).status()), ErrorCode::kInvalidConfig);
  place_.required = false;
  auto files = PathFolder::Create(place_);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_FALSE(files->MakeMemory(kComponent, 4, {}).ok());
}

}  // namespace
}  // namespace warmset

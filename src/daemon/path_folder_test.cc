#include "daemon/path_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/memory_file.h"

namespace warmset {
namespace {

namespace fs = std::filesystem;

class PathFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "path_folder_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern + "/links";
  }
  void TearDown() override { fs::remove_all(fs::path(folder_).parent_path()); }

  std::string folder_;
  const ModelId model_ = DigestOf<ModelId>(AsBytes("model"));
};

TEST_F(PathFolderTest, ALinkOpensAsTheMemory) {
  auto links = PathFolder::Create(folder_);
  ASSERT_TRUE(links.ok()) << links.status();
  auto memory = os::MakeSealedFile("warmset-test", AsBytes("warm"));
  ASSERT_TRUE(memory.ok());
  const auto folder = links->Update(model_, {{"vae/model.safetensors", {memory->fd(), ""}}});
  ASSERT_TRUE(folder.ok()) << folder.status();
  const auto content = os::ReadSmallFile(*folder + "/vae/model.safetensors", 100);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(*content, "warm");
}

TEST_F(PathFolderTest, NothingIsLeftBehind) {
  fs::create_directories(folder_ + "/left-by-a-crash");
  {
    auto links = PathFolder::Create(folder_);
    ASSERT_TRUE(links.ok());
    EXPECT_TRUE(fs::is_empty(folder_));
    ASSERT_TRUE(links->Update(model_, {{"config.json", {-1, "/etc/hostname"}}}).ok());
    links->Remove(model_);
    EXPECT_TRUE(fs::is_empty(folder_));
  }
  EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(PathFolderTest, ANameThatIsRightStays) {
  auto links = PathFolder::Create(folder_);
  ASSERT_TRUE(links.ok());
  const std::map<std::string, PathTarget> first = {{"config.json", {-1, "/etc/hostname"}},
                                                   {"unet/model.bin", {-1, "/etc/hosts"}}};
  const std::string folder = *links->Update(model_, first);
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
  ASSERT_TRUE(links->Update(model_, {{"unet/model.bin", {-1, "/etc/passwd"}}}).ok());
  EXPECT_EQ(fs::read_symlink(folder + "/unet/model.bin"), "/etc/passwd");
  EXPECT_FALSE(fs::exists(fs::symlink_status(folder + "/config.json")));
}

TEST_F(PathFolderTest, AFolderTakesThePlaceOfAFileAndBack) {
  auto links = PathFolder::Create(folder_);
  ASSERT_TRUE(links.ok());
  ASSERT_TRUE(links->Update(model_, {{"weights", {-1, "/etc/hosts"}}}).ok());
  const auto folder = links->Update(model_, {{"weights/a", {-1, "/etc/hosts"}}});
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_TRUE(fs::is_directory(*folder + "/weights"));
  ASSERT_TRUE(links->Update(model_, {{"weights", {-1, "/etc/hosts"}}}).ok());
  EXPECT_TRUE(fs::is_symlink(*folder + "/weights"));
}

TEST_F(PathFolderTest, WhatFailsLeavesWhatWasThere) {
  auto links = PathFolder::Create(folder_);
  ASSERT_TRUE(links.ok());
  const std::string folder = *links->Update(model_, {{"a", {-1, "/etc/hosts"}}});
  for (const char* call : {"symlink", "rename"}) {
    os::ArmFault({.call = call, .nth = 1, .error_number = ENOSPC});
    EXPECT_FALSE(links->Update(model_, {{"a", {-1, "/etc/passwd"}}}).ok()) << call;
    EXPECT_EQ(os::DisarmFault(), 1) << call;
    EXPECT_EQ(fs::read_symlink(folder + "/a"), "/etc/hosts");
  }
  EXPECT_TRUE(links->Update(model_, {{"a", {-1, "/etc/passwd"}}}).ok());
}

TEST_F(PathFolderTest, NoOtherProgramChangesAFolderByMistake) {
  auto links = PathFolder::Create(folder_);
  ASSERT_TRUE(links.ok());
  const std::string folder = *links->Update(model_, {{"unet/a", {-1, "/etc/hosts"}}});
  for (const std::string& each : {folder, folder + "/unet"}) {
    EXPECT_EQ(fs::status(each).permissions() & fs::perms::owner_write, fs::perms::none) << each;
  }
}

}  // namespace
}  // namespace warmset

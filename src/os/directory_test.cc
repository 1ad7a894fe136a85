#include "os/directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/inotify.h"

namespace warmset::os {
namespace {

using testing::ElementsAre;

class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "directory_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    auto fd = OpenDirectory(folder_);
    ASSERT_TRUE(fd.ok());
    fd_ = std::move(*fd);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
  }

  std::string folder_;
  UniqueFd fd_;
};

TEST_F(DirectoryTest, ListsSortedWithTypes) {
  Write("b", "x");
  std::filesystem::create_directory(folder_ + "/c");
  std::filesystem::create_symlink("b", folder_ + "/a");
  ASSERT_EQ(::mkfifo((folder_ + "/d").c_str(), 0600), 0);
  for (int round = 0; round < 2; ++round) {  // each listing begins at the start
    const auto entries = ListDirectory(fd_.get());
    ASSERT_TRUE(entries.ok()) << entries.status();
    std::vector<std::pair<std::string, FileType>> seen;
    for (const DirectoryEntry& entry : *entries) seen.emplace_back(entry.name, entry.type);
    EXPECT_THAT(
        seen, ElementsAre(std::pair("a", FileType::kSymlink), std::pair("b", FileType::kRegular),
                          std::pair("c", FileType::kDirectory), std::pair("d", FileType::kOther)));
  }
}

TEST_F(DirectoryTest, StatFollowsLinksAndAgreesWithIdentify) {
  Write("b", "four");
  std::filesystem::create_symlink("b", folder_ + "/a");
  const auto stat = StatAt(fd_.get(), "a");
  ASSERT_TRUE(stat.ok());
  EXPECT_EQ(stat->type, FileType::kRegular);
  EXPECT_EQ(stat->identity.size, 4u);
  EXPECT_EQ(stat->identity, *IdentifyPath(folder_ + "/b"));
  EXPECT_EQ(*ReadLinkAt(fd_.get(), "a"), "b");
}

TEST_F(DirectoryTest, ABrokenLinkIsNotFound) {
  std::filesystem::create_symlink("nothing", folder_ + "/a");
  EXPECT_EQ(CodeOf(StatAt(fd_.get(), "a").status()), ErrorCode::kFileNotFound);
  std::filesystem::create_symlink("loop", folder_ + "/loop");
  EXPECT_EQ(CodeOf(StatAt(fd_.get(), "loop").status()), ErrorCode::kIoError);
}

TEST_F(DirectoryTest, FailedCallsAreErrors) {
  ArmFault({.call = "getdents", .error_number = EIO});
  EXPECT_EQ(CodeOf(ListDirectory(fd_.get()).status()), ErrorCode::kIoError);
  ArmFault({.call = "statx", .error_number = EACCES});
  EXPECT_EQ(CodeOf(StatAt(fd_.get(), "a").status()), ErrorCode::kPermissionDenied);
  DisarmFault();
}

TEST_F(DirectoryTest, InotifyTellsWhatHappened) {
  auto inotify = Inotify::Create();
  ASSERT_TRUE(inotify.ok()) << inotify.status();
  std::filesystem::create_directory(folder_ + "/c");
  const auto watch = inotify->Add(folder_ + "/c");
  ASSERT_TRUE(watch.ok());
  EXPECT_TRUE(inotify->Read()->empty());

  Write("c/file", "x");
  const auto created = inotify->Read();
  ASSERT_FALSE(created->empty());
  EXPECT_EQ(created->front().watch, *watch);
  EXPECT_EQ(created->front().name, "file");

  std::filesystem::remove_all(folder_ + "/c");
  const auto removed = inotify->Read();
  ASSERT_FALSE(removed->empty());
  EXPECT_TRUE(removed->back().watch_gone);
}

TEST_F(DirectoryTest, TheKernelsWatchLimitIsNamed) {
  auto inotify = Inotify::Create();
  ASSERT_TRUE(inotify.ok());
  ArmFault({.call = "inotify_add_watch", .error_number = ENOSPC});
  const auto watch = inotify->Add(folder_);
  DisarmFault();
  EXPECT_EQ(CodeOf(watch.status()), ErrorCode::kRamLimitExceeded);
  EXPECT_NE(Message(watch.status()).find("max_user_watches"), std::string_view::npos);
}

}  // namespace
}  // namespace warmset::os

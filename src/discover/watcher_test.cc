#include "discover/watcher.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"

namespace warmset {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

class WatcherTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "watcher_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    fs::create_directory(root_ + "/sub");
    Create({});
  }
  void TearDown() override { fs::remove_all(root_); }
  void Create(Watcher::Options options) {
    auto created = Watcher::Create(options);
    ASSERT_TRUE(created.ok()) << created.status();
    watcher_ = *std::move(created);
  }
  // Events are there when the call that made them returns.
  bool Readable() const {
    pollfd poll{.fd = watcher_->fd(), .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, 0) == 1;
  }

  std::string root_;
  std::unique_ptr<Watcher> watcher_;
  const Watcher::Time start_ = Watcher::Time() + std::chrono::hours(1);
};

TEST_F(WatcherTest, TellsOfAChangeWhenItIsQuiet) {
  watcher_->SetFolders(root_, {root_, root_ + "/sub"});
  EXPECT_TRUE(watcher_->complete());
  EXPECT_FALSE(Readable());
  EXPECT_EQ(watcher_->NextDue(), std::nullopt);

  std::ofstream(root_ + "/sub/a.safetensors") << "x";
  EXPECT_TRUE(Readable());
  ASSERT_TRUE(watcher_->OnReadable(start_).ok());
  EXPECT_FALSE(Readable());
  EXPECT_EQ(watcher_->NextDue(), start_ + milliseconds(500));
  EXPECT_THAT(watcher_->TakeChanged(start_), IsEmpty());

  std::ofstream(root_ + "/sub/b.safetensors") << "x";
  ASSERT_TRUE(watcher_->OnReadable(start_ + milliseconds(400)).ok());
  EXPECT_EQ(watcher_->NextDue(), start_ + milliseconds(900));
  const auto changes = watcher_->TakeChanged(start_ + milliseconds(900));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].root, root_);
  EXPECT_THAT(changes[0].folders, ElementsAre(root_ + "/sub"));
  EXPECT_EQ(watcher_->NextDue(), std::nullopt);
}

TEST_F(WatcherTest, WhatNeverRestsIsToldAtLast) {
  watcher_->SetFolders(root_, {root_});
  for (int i = 0; i <= 25; ++i) {
    std::ofstream(root_ + "/growing") << i;
    ASSERT_TRUE(watcher_->OnReadable(start_ + milliseconds(400 * i)).ok());
  }
  EXPECT_EQ(watcher_->NextDue(), start_ + milliseconds(10'000));
  EXPECT_EQ(watcher_->TakeChanged(start_ + milliseconds(10'000)).size(), 1u);
}

TEST_F(WatcherTest, HiddenFilesAreNoNews) {
  watcher_->SetFolders(root_, {root_});
  std::ofstream(root_ + "/.cache") << "x";
  ASSERT_TRUE(watcher_->OnReadable(start_).ok());
  EXPECT_EQ(watcher_->NextDue(), std::nullopt);
}

TEST_F(WatcherTest, FoldersComeAndGo) {
  watcher_->SetFolders(root_, {root_, root_ + "/sub"});
  watcher_->SetFolders(root_, {root_});
  std::ofstream(root_ + "/sub/a") << "x";
  ASSERT_TRUE(watcher_->OnReadable(start_).ok());
  EXPECT_EQ(watcher_->NextDue(), std::nullopt);

  watcher_->SetFolders(root_, {root_, root_ + "/sub", root_ + "/gone"});
  EXPECT_TRUE(watcher_->complete());
  fs::remove_all(root_ + "/sub");
  ASSERT_TRUE(watcher_->OnReadable(start_).ok());
  EXPECT_EQ(watcher_->TakeChanged(start_ + milliseconds(500)).size(), 1u);
  fs::create_directory(root_ + "/sub");
  watcher_->SetFolders(root_, {root_, root_ + "/sub"});
  ASSERT_TRUE(watcher_->OnReadable(start_).ok());
  (void)watcher_->TakeChanged(start_ + milliseconds(500));
  std::ofstream(root_ + "/sub/new") << "x";
  ASSERT_TRUE(watcher_->OnReadable(start_).ok());
  EXPECT_THAT(watcher_->TakeChanged(start_ + milliseconds(500)).at(0).folders,
              ElementsAre(root_ + "/sub"));
}

TEST_F(WatcherTest, ALimitIsSaid) {
  Create({.max_folders = 1});
  watcher_->SetFolders(root_, {root_, root_ + "/sub"});
  EXPECT_FALSE(watcher_->complete());
  EXPECT_THAT(watcher_->limitation(), HasSubstr("only 1 folders"));
  watcher_->SetFolders(root_, {root_});
  EXPECT_TRUE(watcher_->complete());

  Create({});
  os::ArmFault({.call = "inotify_add_watch", .error_number = ENOSPC});
  watcher_->SetFolders(root_, {root_});
  os::DisarmFault();
  EXPECT_THAT(watcher_->limitation(), HasSubstr("max_user_watches"));
}

TEST_F(WatcherTest, WhatTheKernelRefusedIsTriedAgain) {
  os::ArmFault(
      {.call = "inotify_add_watch", .nth = 2, .error_number = ENOSPC, .keep_failing = true});
  watcher_->SetFolders(root_, {root_, root_ + "/sub"});
  watcher_->SetFolders("/proc/self", {});  // another root that lacks nothing
  EXPECT_FALSE(watcher_->complete());
  EXPECT_THAT(watcher_->Retry(), IsEmpty());
  EXPECT_FALSE(watcher_->complete());
  os::DisarmFault();
  EXPECT_THAT(watcher_->Retry(), ElementsAre(root_));
  EXPECT_TRUE(watcher_->complete());
  EXPECT_THAT(watcher_->Retry(), IsEmpty());
  std::ofstream(root_ + "/sub/new") << "x";
  EXPECT_TRUE(Readable());
}

// As a drive that is mounted where another one was.
TEST_F(WatcherTest, AFolderInAnothersPlaceIsWatched) {
  watcher_->SetFolders(root_, {root_, root_ + "/sub"});
  fs::rename(root_ + "/sub", root_ + "/away");
  fs::create_directory(root_ + "/sub");
  ASSERT_TRUE(watcher_->OnReadable(start_).ok());
  (void)watcher_->TakeChanged(start_ + milliseconds(500));
  watcher_->SetFolders(root_, {root_, root_ + "/sub"});
  std::ofstream(root_ + "/away/old") << "x";
  std::ofstream(root_ + "/sub/new") << "x";
  ASSERT_TRUE(watcher_->OnReadable(start_).ok());
  EXPECT_THAT(watcher_->TakeChanged(start_ + milliseconds(500)).at(0).folders,
              ElementsAre(root_ + "/sub"));
}

}  // namespace
}  // namespace warmset

#include "os/tmpfs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/file_names.h"

namespace warmset::os {
namespace {

namespace fs = std::filesystem;

class TmpfsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = "/dev/shm/warmset-tmpfs-test-XXXXXX";
    if (::mkdtemp(folder_.data()) == nullptr) GTEST_SKIP() << "no /dev/shm to write to";
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string folder_;
};

TEST_F(TmpfsTest, AnUnnamedFileGetsItsNameLater) {
  EXPECT_TRUE(IsTmpfs(folder_));
  EXPECT_FALSE(IsTmpfs("/proc"));
  const auto file = OpenUnnamed(folder_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(WriteAt(file->get(), std::as_bytes(std::span("warm", 4)), 0).ok());
  EXPECT_TRUE(fs::is_empty(folder_));
  ASSERT_TRUE(LinkFile(file->get(), folder_ + "/named").ok());
  EXPECT_EQ(ReadSmallFile(folder_ + "/named", 10).value_or(""), "warm");
  EXPECT_FALSE(LinkFile(file->get(), folder_ + "/named").ok());
  ASSERT_TRUE(LinkFile(file->get(), folder_ + "/other").ok());
  ASSERT_TRUE(RenameOver(folder_ + "/other", folder_ + "/exchanged").ok());
  ASSERT_TRUE(RemoveName(folder_ + "/exchanged").ok());
  EXPECT_TRUE(RemoveName(folder_ + "/exchanged").ok());
}

TEST_F(TmpfsTest, OtherUsersEnterAFolderThatAllowsThem) {
  ASSERT_EQ(::chmod(folder_.c_str(), 0700), 0);
  const Status allowed = AllowUsers(folder_, {4242, 17, 4242});
  if (CodeOf(allowed) == ErrorCode::kIoError && !allowed.ok()) GTEST_SKIP() << allowed;
  ASSERT_TRUE(allowed.ok()) << allowed;
  // The list's mask shows where the group's bits do; nobody else may enter.
  EXPECT_EQ(fs::status(folder_).permissions(), fs::perms(0750));
  EXPECT_TRUE(CheckPrivateDirectory(folder_).ok());
  ASSERT_TRUE(AllowUsers(folder_, {}).ok());
  EXPECT_EQ(fs::status(folder_).permissions() & fs::perms::others_all, fs::perms::none);
}

TEST_F(TmpfsTest, AFailedSystemCallIsAnError) {
  ArmFault({.call = "open_unnamed", .error_number = ENOSPC});
  EXPECT_EQ(CodeOf(OpenUnnamed(folder_).status()), ErrorCode::kIoError);
  EXPECT_EQ(DisarmFault(), 1);
  ArmFault({.call = "statvfs", .error_number = EIO});
  EXPECT_EQ(CodeOf(FreeBytes(folder_).status()), ErrorCode::kIoError);
  EXPECT_EQ(DisarmFault(), 1);
  const auto file = OpenUnnamed(folder_);
  ASSERT_TRUE(file.ok());
  ArmFault({.call = "linkat", .error_number = ENOSPC});
  EXPECT_FALSE(LinkFile(file->get(), folder_ + "/named").ok());
  EXPECT_EQ(DisarmFault(), 1);
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace warmset::os

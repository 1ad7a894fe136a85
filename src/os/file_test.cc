#include "os/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"

namespace warmset::os {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string folder = ::testing::TempDir() + "file_test_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override {
    DisarmFault();
    fs::remove_all(folder_);
  }
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::string folder_;
};

TEST_F(FileTest, OpensRegularFilesOnly) {
  EXPECT_TRUE(OpenForRead(Write("a", "x")).ok());
  EXPECT_EQ(CodeOf(OpenForRead(folder_).status()), ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(OpenForRead(folder_ + "/absent").status()), ErrorCode::kFileNotFound);
  const std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(CodeOf(OpenForRead(fifo).status()), ErrorCode::kInvalidRequest);  // and returns
}

TEST_F(FileTest, NothingOutsideAFolderIsOpenedBeneathIt) {
  ASSERT_TRUE(fs::create_directory(folder_ + "/inner"));
  Write("outside", "x");
  Write("inner/inside", "x");
  fs::create_symlink("../outside", folder_ + "/inner/escape");
  fs::create_symlink("inside", folder_ + "/inner/fine");
  auto inner = OpenDirectory(folder_ + "/inner");
  ASSERT_TRUE(inner.ok());
  EXPECT_TRUE(OpenBeneath(inner->get(), "inside").ok());
  EXPECT_TRUE(OpenBeneath(inner->get(), "fine").ok());
  fs::create_symlink("circle", folder_ + "/inner/circle");
  EXPECT_EQ(CodeOf(OpenBeneath(inner->get(), "circle").status()), ErrorCode::kCorruptedModel);
  for (const std::string& path : {std::string("absent"), std::string("inside/x"),
                                  std::string(5000, 'x')}) {
    EXPECT_EQ(CodeOf(OpenBeneath(inner->get(), path).status()), ErrorCode::kFileNotFound);
  }
  for (const char* path : {"../outside", "escape", "/etc/hostname"}) {
    EXPECT_EQ(CodeOf(OpenBeneath(inner->get(), path).status()), ErrorCode::kUnsafeModel)
        << path;
  }
}

TEST_F(FileTest, IdentityTellsStatesOfAFileApart) {
  const std::string path = Write("a", "one");
  const auto before = IdentifyPath(path);
  ASSERT_TRUE(before.ok());
  EXPECT_EQ(before->size, 3u);
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto touched = IdentifyPath(path);
  ASSERT_TRUE(touched.ok());
  EXPECT_TRUE(SameButForCtime(*before, *touched));
  Write("b", "two");
  fs::rename(folder_ + "/b", path);
  const auto replaced = IdentifyPath(path);
  ASSERT_TRUE(replaced.ok());
  EXPECT_FALSE(SameButForCtime(*before, *replaced));
}

TEST_F(FileTest, AReopenedDescriptorHasAnOffsetOfItsOwn) {
  auto fd = OpenForRead(Write("a", "warm"));
  ASSERT_TRUE(fd.ok());
  auto again = Reopen(fd->get(), OpenMode::kBuffered);
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_EQ(::lseek(fd->get(), 2, SEEK_SET), 2);
  EXPECT_EQ(::lseek(again->get(), 0, SEEK_CUR), 0);
  EXPECT_EQ(Identify(fd->get())->inode, Identify(again->get())->inode);
}

TEST_F(FileTest, OnlyReadableFilesMayBePassed) {
  const std::string path = Write("a", "x");
  const UniqueFd readable(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd writable(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  const UniqueFd named(::open(path.c_str(), O_PATH | O_CLOEXEC));
  EXPECT_TRUE(CheckReadableFile(readable.get()).ok());
  EXPECT_EQ(CodeOf(CheckReadableFile(writable.get())), ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(CheckReadableFile(named.get())), ErrorCode::kInvalidRequest);
}

TEST_F(FileTest, AShortFileIsNamedWhereItEnds) {
  auto fd = OpenForRead(Write("a", "12345"));
  ASSERT_TRUE(fd.ok());
  std::byte buffer[8];
  EXPECT_EQ(*ReadAt(fd->get(), buffer, 2), 3u);
  const Status status = ReadExactly(fd->get(), buffer, 2);
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptedModel);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("offset 5"));
  ArmFault({.call = "pread", .nth = 1, .error_number = EIO});
  EXPECT_EQ(CodeOf(ReadExactly(fd->get(), buffer, 0)), ErrorCode::kIoError);
}

TEST_F(FileTest, SmallFilesAreReadWithinALimit) {
  const std::string path = Write("a", "12345");
  EXPECT_EQ(*ReadSmallFile(path, 5), "12345");
  EXPECT_EQ(CodeOf(ReadSmallFile(path, 4).status()), ErrorCode::kInvalidRequest);
  EXPECT_THAT(*ReadSmallFile("/proc/self/status", 64 << 10), HasSubstr("Pid:"));
}

TEST_F(FileTest, ReplacesAFileOrLeavesWhatWasThere) {
  const std::string path = Write("a", "old");
  ArmFault({.call = "fsync", .nth = 1, .error_number = EIO});
  EXPECT_EQ(CodeOf(ReplaceFile(path, "new", 0600)), ErrorCode::kIoError);
  EXPECT_EQ(*ReadSmallFile(path, 10), "old");
  ASSERT_TRUE(ReplaceFile(path, "new", 0600).ok());
  EXPECT_EQ(*ReadSmallFile(path, 10), "new");
}

TEST_F(FileTest, APrivateFolderIsMadeWithItsParents) {
  const std::string path = folder_ + "/p/q";
  ASSERT_TRUE(MakePrivateDirectory(path).ok());
  ASSERT_TRUE(MakePrivateDirectory(path).ok());
  struct stat st{};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  Write("file", "x");
  EXPECT_EQ(CodeOf(MakePrivateDirectory(folder_ + "/file")), ErrorCode::kPermissionDenied);
}

}  // namespace
}  // namespace warmset::os

#include "daemon/file_check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"

namespace warmset {
namespace {

class FileCheckTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "file_check_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/a.safetensors";
    std::ofstream(path_) << "old";
    identity_ = *os::IdentifyPath(path_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  FileState Check() { return CheckFiles({{path_, identity_}})->state; }
  void PutMtimeBack() {
    const timespec mtime{identity_.mtime_ns / 1'000'000'000, identity_.mtime_ns % 1'000'000'000};
    const timespec times[2] = {mtime, mtime};
    ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), times, 0), 0);
  }

  std::string folder_;
  std::string path_;
  os::FileIdentity identity_;
};

TEST_F(FileCheckTest, AnUntouchedFileIsTheSame) { EXPECT_EQ(Check(), FileState::kSame); }

TEST_F(FileCheckTest, AnotherSizeIsAChange) {
  std::ofstream(path_) << "longer";
  EXPECT_EQ(Check(), FileState::kChanged);
}

TEST_F(FileCheckTest, ContentReplacedWithTheMtimePutBackIsSeenByCtime) {
  // The kernel's clock may be coarser than two calls: a chmod must be seen, too.
  do {
    std::ofstream(path_) << "new";
    PutMtimeBack();
  } while (os::IdentifyPath(path_)->ctime_ns == identity_.ctime_ns);
  EXPECT_EQ(Check(), FileState::kCtimeOnly);
}

TEST_F(FileCheckTest, ReplacedByRenameIsAChange) {
  std::ofstream(folder_ + "/b") << "old";
  std::filesystem::rename(folder_ + "/b", path_);
  EXPECT_EQ(Check(), FileState::kChanged);
}

TEST_F(FileCheckTest, AMissingFileIsGone) {
  std::filesystem::remove(path_);
  EXPECT_EQ(Check(), FileState::kGone);
}

TEST_F(FileCheckTest, AFileThatIsTheSameStaysLocal) {
  EXPECT_TRUE(CheckFiles({{path_, identity_}}, /*known_local=*/true)->local);
  std::filesystem::remove(path_);
  EXPECT_FALSE(CheckFiles({{path_, identity_}}, /*known_local=*/true)->local);
}

TEST_F(FileCheckTest, TheWorstStateCounts) {
  std::filesystem::remove(path_);
  std::ofstream(folder_ + "/b") << "x";
  const auto check =
      CheckFiles({{folder_ + "/b", *os::IdentifyPath(folder_ + "/b")}, {path_, identity_}});
  EXPECT_EQ(check->state, FileState::kGone);
  EXPECT_EQ(check->path, path_);
}

}  // namespace
}  // namespace warmset

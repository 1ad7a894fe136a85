#include "wire/socket_path.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"

namespace warmset::wire {
namespace {

class SocketPathTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/warmset-socket-path-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    folder_ = pattern;
    ::unsetenv("WARMSET_SOCKET");
    ::setenv("XDG_RUNTIME_DIR", folder_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("WARMSET_SOCKET");
    ::unsetenv("XDG_RUNTIME_DIR");
    std::filesystem::remove_all(folder_);
  }

  std::string folder_;
};

TEST_F(SocketPathTest, TheFirstOfThreePlaces) {
  EXPECT_EQ(SocketPath(), folder_ + "/warmset/warmset.sock");
  ::setenv("WARMSET_SOCKET", "/x/y.sock", 1);
  EXPECT_EQ(SocketPath(), "/x/y.sock");
  ::setenv("WARMSET_SOCKET", "", 1);
  EXPECT_EQ(SocketPath(), folder_ + "/warmset/warmset.sock");
  ::unsetenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(SocketPath(), "/tmp/warmset-" + std::to_string(::geteuid()) + "/warmset.sock");
}

TEST_F(SocketPathTest, TheFolderIsMadePrivate) {
  EXPECT_TRUE(CheckSocketFolder(SocketPath()).ok());  // nothing there: connecting will say so
  ASSERT_TRUE(PrepareSocketFolder(SocketPath()).ok());
  struct stat st{};
  ASSERT_EQ(::stat((folder_ + "/warmset").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  EXPECT_TRUE(CheckSocketFolder(SocketPath()).ok());
}

TEST_F(SocketPathTest, AFolderThatOthersControlIsRefused) {
  const std::string mine = folder_ + "/warmset";
  ASSERT_TRUE(std::filesystem::create_directory(folder_ + "/elsewhere"));
  std::filesystem::create_directory_symlink(folder_ + "/elsewhere", mine);
  EXPECT_EQ(CodeOf(PrepareSocketFolder(SocketPath())), ErrorCode::kPermissionDenied);
  EXPECT_EQ(CodeOf(CheckSocketFolder(SocketPath())), ErrorCode::kPermissionDenied);
  std::filesystem::remove(mine);
  std::filesystem::create_directory(mine);
  ASSERT_EQ(::chmod(mine.c_str(), 0777), 0);
  EXPECT_EQ(CodeOf(CheckSocketFolder(SocketPath())), ErrorCode::kPermissionDenied);
  // What the user names is the user's choice.
  ::setenv("WARMSET_SOCKET", (mine + "/warmset.sock").c_str(), 1);
  EXPECT_TRUE(CheckSocketFolder(SocketPath()).ok());
}

}  // namespace
}  // namespace warmset::wire

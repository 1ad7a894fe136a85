#include "os/unix_socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/digest.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "os/memory_file.h"

namespace warmset::os {
namespace {

class UnixSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "socket_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/s";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::string path_;
};

TEST_F(UnixSocketTest, OnlyTheOwnerMayConnect) {
  auto listener = ListenUnix(path_);
  ASSERT_TRUE(listener.ok()) << listener.status();
  struct stat st {};
  ASSERT_EQ(::stat(path_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777u, 0600u);
}

TEST_F(UnixSocketTest, ASecondListenerIsTold) {
  auto first = ListenUnix(path_);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(CodeOf(ListenUnix(path_).status()), ErrorCode::kAlreadyRunning);
}

TEST_F(UnixSocketTest, AStaleSocketFileIsReplaced) {
  ASSERT_TRUE(ListenUnix(path_).ok());  // closed at once, the file stays
  EXPECT_EQ(CodeOf(ConnectUnix(path_).status()), ErrorCode::kDaemonUnavailable);
  EXPECT_TRUE(ListenUnix(path_).ok());
}

TEST_F(UnixSocketTest, AnOverlongPathNamesTheRemedy) {
  const auto status = ConnectUnix(folder_ + std::string(200, 'x')).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig);
  EXPECT_NE(Message(status).find("WARMSET_SOCKET"), std::string_view::npos);
}

TEST_F(UnixSocketTest, DescriptorsArriveWithTheirBytes) {
  auto ends = MakeSocketPair();
  auto memory = MakeSealedFile("warmset-test", AsBytes("warm"));
  ASSERT_TRUE(ends.ok() && memory.ok());
  const int fds[] = {memory->fd(), memory->fd()};
  ASSERT_EQ(*SendWithFds(ends->first.get(), AsBytes("hello"), fds), 5u);
  std::byte buffer[16];
  std::vector<UniqueFd> received;
  const auto got = ReceiveWithFds(ends->second.get(), buffer, received);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->bytes, 5u);
  ASSERT_EQ(received.size(), 2u);
  char content[4];
  EXPECT_EQ(::pread(received[1].get(), content, 4, 0), 4);
  EXPECT_EQ(std::string_view(content, 4), "warm");
}

TEST_F(UnixSocketTest, SaysWhenThePeerIsGoneAndWhenNothingIsThere) {
  auto ends = MakeSocketPair();
  ASSERT_TRUE(ends.ok());
  ASSERT_TRUE(SetNonBlocking(ends->first.get(), true).ok());
  std::byte buffer[16];
  std::vector<UniqueFd> fds;
  EXPECT_TRUE(ReceiveWithFds(ends->first.get(), buffer, fds)->would_block);
  ends->second.Reset();
  EXPECT_TRUE(ReceiveWithFds(ends->first.get(), buffer, fds)->closed);
  EXPECT_FALSE(SendWithFds(ends->first.get(), AsBytes("x"), {}).ok());
}

TEST_F(UnixSocketTest, WaitsForTheOtherEnd) {
  using std::chrono::milliseconds;
  auto ends = MakeSocketPair();
  ASSERT_TRUE(ends.ok());
  const auto readable = [&](milliseconds timeout) {
    return *WaitForSocket(ends->first.get(), SocketEvent::kReadable, timeout);
  };
  EXPECT_FALSE(readable(milliseconds(0)));
  EXPECT_TRUE(*WaitForSocket(ends->first.get(), SocketEvent::kWritable, milliseconds(0)));
  ends->second.Reset();
  EXPECT_TRUE(readable(milliseconds(10'000)));
}

}  // namespace
}  // namespace warmset::os

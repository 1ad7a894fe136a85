#include "client/frame_io.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace warmset::inline client_v1::client_internal {
namespace {

ino_t InodeOf(int fd) {
  struct stat found{};
  EXPECT_EQ(::fstat(fd, &found), 0);
  return found.st_ino;
}

class FrameReceiverTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    here_ = OwnedFd(ends[0]);
    there_ = OwnedFd(ends[1]);
  }

  // The daemon's frames are as the client's, which may bring descriptors too.
  void Send(std::string_view payload, std::span<const int> fds = {}) {
    ASSERT_EQ(SendFrame(there_.get(), payload, fds, /*wait=*/true), SendResult::kSent);
  }
  void SendBytes(std::string_view bytes) {
    ASSERT_EQ(::send(there_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  ReceivedFrame MustReceive() {
    ReceivedFrame frame;
    const auto error = receiver_.Receive(here_.get(), frame);
    EXPECT_FALSE(error) << error->message;
    return frame;
  }
  std::string CodeOfFailure() {
    ReceivedFrame frame;
    const auto error = receiver_.Receive(here_.get(), frame);
    return error ? error->code : "none";
  }

  OwnedFd here_;
  OwnedFd there_;
  FrameReceiver receiver_;
};

TEST_F(FrameReceiverTest, FramesThatComeTogetherAreToldApart) {
  Send("one");
  Send("");
  Send("three");
  EXPECT_EQ(MustReceive().payload, "one");
  EXPECT_TRUE(receiver_.has_more());
  EXPECT_EQ(MustReceive().payload, "");
  EXPECT_EQ(MustReceive().payload, "three");
  EXPECT_FALSE(receiver_.has_more());
}

TEST_F(FrameReceiverTest, DescriptorsGoToTheFrameThatAnnouncesThem) {
  const OwnedFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const OwnedFd second(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const int both[] = {first.get(), second.get()};
  const int only[] = {second.get()};
  Send("progress");
  Send("both", both);
  Send("progress");
  Send("only", only);
  EXPECT_TRUE(MustReceive().fds.empty());
  const ReceivedFrame with_both = MustReceive();
  EXPECT_EQ(with_both.payload, "both");
  ASSERT_EQ(with_both.fds.size(), 2u);
  EXPECT_EQ(InodeOf(with_both.fds[0].get()), InodeOf(first.get()));
  EXPECT_EQ(InodeOf(with_both.fds[1].get()), InodeOf(second.get()));
  EXPECT_TRUE(MustReceive().fds.empty());
  const ReceivedFrame with_one = MustReceive();
  ASSERT_EQ(with_one.fds.size(), 1u);
  EXPECT_EQ(InodeOf(with_one.fds[0].get()), InodeOf(second.get()));
}

TEST_F(FrameReceiverTest, AFrameMayComeInAnyPieces) {
  const std::string bytes("\5\0\0\0\0\0\0\0hello\2\0\0\0\0\0\0\0yo", 23);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    SendBytes(bytes.substr(0, cut));
    std::string first;
    if (cut >= 13) first = MustReceive().payload;
    SendBytes(bytes.substr(cut));
    if (cut < 13) first = MustReceive().payload;
    EXPECT_EQ(first, "hello") << cut;
    EXPECT_EQ(MustReceive().payload, "yo") << cut;
  }
}

TEST_F(FrameReceiverTest, WhatFollowsALargeFrameIsWhole) {
  for (const size_t size : {4087U, 4088U, 4089U, 4096U, 100'000U}) {
    const std::string large(size, 'x');
    Send(large);
    Send("next");
    EXPECT_EQ(MustReceive().payload, large);
    EXPECT_EQ(MustReceive().payload, "next");
  }
}

TEST_F(FrameReceiverTest, DescriptorsThatNoFrameAnnouncesAreRefused) {
  const OwnedFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  iovec chunk{const_cast<char*>("\0\0\0\0\0\0\0\0"), 8};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &chunk;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = file.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ASSERT_EQ(::sendmsg(there_.get(), &message, 0), 8);
  EXPECT_EQ(CodeOfFailure(), "internal");
}

TEST_F(FrameReceiverTest, AnEndWithinAFrameIsAnError) {
  SendBytes(std::string("\5\0\0\0\0\0\0\0hel", 11));
  there_.Close();
  EXPECT_EQ(CodeOfFailure(), "daemon_unavailable");
}

}  // namespace
}  // namespace warmset::inline client_v1::client_internal

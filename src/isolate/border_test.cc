#include "isolate/border.h"

#include <fcntl.h>

#include <string>
#include <thread>
#include <utility>

#include "base/digest.h"
#include "gtest/gtest.h"
#include "os/unix_socket.h"

namespace warmset::border {
namespace {

constexpr uint64_t kMost = 1 << 20;

// A border, and the bare socket at its other end.
struct Ends {
  Border border;
  os::UniqueFd socket;
};
Ends MakeEnds() {
  auto ends = *os::MakeSocketPair();
  Border border = *Border::WithDeadlines(std::move(ends.first));
  border.SetDeadline(std::chrono::steady_clock::now() + std::chrono::minutes(10));
  return {std::move(border), std::move(ends.second)};
}

void SendRaw(const os::UniqueFd& socket, const std::string& bytes, std::vector<int> fds = {}) {
  ASSERT_TRUE(os::SendWithFds(socket.get(), AsBytes(bytes), fds).ok());
}

TEST(BorderTest, FramesArriveWithTheirDescriptors) {
  auto [border, socket] = MakeEnds();
  Border other(std::move(socket));
  const os::UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(border.Send(FrameType::kOpened, "", file.get()).ok());
  ASSERT_TRUE(border.Send(FrameType::kShards, "names", -1, /*leaving=*/true).ok());
  const auto first = other.Receive(kMost);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->type, FrameType::kOpened);
  EXPECT_TRUE(first->fd.valid());
  EXPECT_FALSE(first->leaving);
  const auto second = other.Receive(kMost);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->payload, "names");
  EXPECT_FALSE(second->fd.valid());
  EXPECT_TRUE(second->leaving);
}

TEST(BorderTest, LongFramesCrossWholeBothWays) {
  auto [border, socket] = MakeEnds();
  Border other(std::move(socket));
  std::string payload(20 << 20, 'x');
  payload.back() = 'y';
  std::jthread echo([&other] {
    const auto frame = other.Receive(uint64_t{1} << 30);
    (void)other.Send(frame->type, frame->payload);
  });
  ASSERT_TRUE(border.Send(FrameType::kManifest, payload).ok());
  const auto back = border.Receive(uint64_t{1} << 30);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(back->payload == payload);
}

TEST(BorderTest, AnythingElseIsRefused) {
  const std::pair<std::string, std::vector<int>> broken[] = {
      {std::string("\0\0\0\0\x00\0\0\0", 8), {}},      // no type
      {std::string("\0\0\0\0\x63\0\0\0", 8), {}},      // an unknown one
      {std::string("\0\0\0\0\x04\x02\0\0", 8), {}},    // a flag that is none
      {std::string("\0\0\0\0\x04\0\x01\0", 8), {}},    // what must be zero
      {std::string("\0\0\x20\0\x04\0\0\0", 8), {}},    // longer than is allowed
      {std::string("\0\0\0\0\x04\0\0\0", 8), {0, 0}},  // two descriptors
  };
  for (const auto& [bytes, fds] : broken) {
    auto [border, socket] = MakeEnds();
    SendRaw(socket, bytes, fds);
    EXPECT_EQ(CodeOf(border.Receive(kMost).status()), ErrorCode::kCorruptedModel);
  }
}

TEST(BorderTest, AnEndThatIsGoneOrSilentIsTold) {
  {
    auto [border, socket] = MakeEnds();
    SendRaw(socket, "abc");  // a part of a header
    border.SetDeadline(std::chrono::steady_clock::now());
    EXPECT_EQ(CodeOf(border.Receive(kMost).status()), ErrorCode::kTimeout);
  }
  {
    auto [border, socket] = MakeEnds();
    SendRaw(socket, "abc");
    socket.Reset();
    EXPECT_EQ(CodeOf(border.Receive(kMost).status()), ErrorCode::kIoError);
    EXPECT_FALSE(border.Send(FrameType::kOpened, "").ok());
  }
  {
    auto [border, socket] = MakeEnds();
    border.SetDeadline(std::chrono::steady_clock::now());
    const std::string much(64 << 20, 'x');  // more than a socket takes
    EXPECT_EQ(CodeOf(border.Send(FrameType::kInspect, much)), ErrorCode::kTimeout);
  }
}

}  // namespace
}  // namespace warmset::border

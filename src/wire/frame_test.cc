#include "wire/frame.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset::wire {
namespace {

constexpr size_t kAmple = 64 * kMiB;

std::string HeaderOf(uint32_t bytes, uint8_t encoding = 0, uint8_t fds = 0, uint16_t flags = 0) {
  std::string raw(kFrameHeaderBytes, '\0');
  std::memcpy(raw.data(), &bytes, 4);
  raw[4] = static_cast<char>(encoding);
  raw[5] = static_cast<char>(fds);
  std::memcpy(raw.data() + 6, &flags, 2);
  return raw;
}

os::UniqueFd NullFd() { return os::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

std::vector<os::UniqueFd> NullFds(size_t count) {
  std::vector<os::UniqueFd> fds;
  for (size_t i = 0; i < count; ++i) fds.push_back(NullFd());
  return fds;
}

std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

// Appends the data and takes all whole frames; the first error ends it.
StatusOr<std::vector<Frame>> Feed(FrameReader& reader, std::string_view data,
                                  std::vector<os::UniqueFd> fds = {}) {
  RETURN_IF_ERROR(reader.Append(BytesOf(data), std::move(fds)));
  std::vector<Frame> frames;
  while (true) {
    ASSIGN_OR_RETURN(std::optional<Frame> frame, reader.Next());
    if (!frame) return frames;
    frames.push_back(*std::move(frame));
  }
}

TEST(FrameReader, FindsFramesHoweverTheStreamIsSplit) {
  const std::string stream =
      HeaderOf(5, 0, 1) + "first" + HeaderOf(0, 1) + HeaderOf(6, 1, 2) + "second";
  const size_t third = kFrameHeaderBytes + 5 + kFrameHeaderBytes;
  for (size_t a = 0; a <= stream.size(); ++a) {
    for (size_t b = a; b <= stream.size(); ++b) {
      FrameReader reader;
      std::vector<Frame> frames;
      for (const auto& [begin, end] : {std::pair{size_t{0}, a}, {a, b}, {b, stream.size()}}) {
        size_t fds = begin == 0 && end > 0 ? 1 : 0;
        if (begin <= third && third < end) fds += 2;
        auto got = Feed(reader, std::string_view(stream).substr(begin, end - begin), NullFds(fds));
        ASSERT_TRUE(got.ok()) << got.status() << " split at " << a << " and " << b;
        for (Frame& frame : *got) frames.push_back(std::move(frame));
      }
      ASSERT_EQ(frames.size(), 3u);
      EXPECT_EQ(frames[0].payload, "first");
      EXPECT_EQ(frames[0].fds.size(), 1u);
      EXPECT_EQ(frames[1].payload, "");
      EXPECT_EQ(frames[1].encoding, Encoding::kJson);
      EXPECT_EQ(frames[2].payload, "second");
      EXPECT_EQ(frames[2].fds.size(), 2u);
      EXPECT_FALSE(reader.in_frame());
    }
  }
}

TEST(FrameReader, RejectsHeadersThatBreakTheFormat) {
  const std::pair<std::string, const char*> broken[] = {
      {HeaderOf(kMaxPayloadBytes + 1), "length above the limit"},
      {HeaderOf(0xFFFFFFFF), "largest length"},
      {HeaderOf(0, 2), "unknown encoding"},
      {HeaderOf(0, 0, 0, 1), "flag"},
      {HeaderOf(0, 0, 254), "more descriptors than the kernel passes"},
      {HeaderOf(0, 0, 1), "a descriptor that did not come"},
  };
  for (const auto& [stream, what] : broken) {
    FrameReader reader;
    const auto frames = Feed(reader, stream);
    EXPECT_EQ(CodeOf(frames.status()), ErrorCode::kInvalidRequest) << what;
    // The error is final.
    EXPECT_FALSE(reader.Append(BytesOf(HeaderOf(0)), {}).ok()) << what;
    EXPECT_FALSE(reader.Next().ok()) << what;
  }
}

TEST(FrameReader, AllowsTheLargestPayload) {
  FrameReader reader;
  const auto frames = Feed(reader, HeaderOf(kMaxPayloadBytes) + std::string(kMaxPayloadBytes, 'x'));
  ASSERT_TRUE(frames.ok()) << frames.status();
  ASSERT_EQ(frames->size(), 1u);
  EXPECT_EQ(frames->front().payload.size(), kMaxPayloadBytes);
}

TEST(FrameReader, RejectsDescriptorsThatNoHeaderAnnounced) {
  FrameReader whole;
  EXPECT_FALSE(Feed(whole, HeaderOf(1) + "x", NullFds(1)).ok());
  FrameReader unfinished;
  EXPECT_FALSE(Feed(unfinished, HeaderOf(9, 0, 1) + "x", NullFds(2)).ok());
  FrameReader in_payload;
  ASSERT_TRUE(Feed(in_payload, HeaderOf(9) + "x").ok());
  EXPECT_FALSE(Feed(in_payload, "y", NullFds(1)).ok());
}

TEST(FrameReader, BoundsDescriptorsThatComeBeforeAHeader) {
  FrameReader reader;
  ASSERT_TRUE(Feed(reader, "\1", NullFds(os::kMaxPassedFds)).ok());
  ASSERT_TRUE(Feed(reader, std::string_view("\0", 1), NullFds(os::kMaxPassedFds)).ok());
  EXPECT_FALSE(Feed(reader, std::string_view("\0", 1), NullFds(1)).ok());
}

TEST(FrameReader, ClosesDescriptorsOfFramesThatAreNotTaken) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  os::UniqueFd read_end(ends[0]);
  {
    FrameReader reader;
    std::vector<os::UniqueFd> fds;
    fds.emplace_back(ends[1]);
    ASSERT_TRUE(reader.Append(BytesOf(HeaderOf(100, 0, 1)), std::move(fds)).ok());
    ASSERT_TRUE(reader.Next().ok());
  }
  char byte = 0;
  EXPECT_EQ(::read(read_end.get(), &byte, 1), 0);  // no writer is left
}

class FrameSocketTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pair = os::MakeSocketPair();
    ASSERT_TRUE(pair.ok());
    a_ = std::move(pair->first);
    b_ = std::move(pair->second);
    ASSERT_TRUE(os::SetNonBlocking(a_.get(), true).ok());
  }

  os::UniqueFd a_, b_;
};

TEST_F(FrameSocketTest, LargeFramesAndDescriptorsArriveInOrderThroughASmallBuffer) {
  FrameWriter writer(kAmple);
  const std::string large(3 * kMiB, 'L');
  struct stat null_stat{};
  ASSERT_EQ(::stat("/dev/null", &null_stat), 0);
  ASSERT_TRUE(writer.Push(Encoding::kProtobuf, large, {Share(NullFd()), Share(NullFd())}).ok());
  ASSERT_TRUE(writer.Push(Encoding::kJson, "small", {}).ok());
  ASSERT_TRUE(writer.Push(Encoding::kProtobuf, "", {Share(NullFd())}).ok());

  FrameReader reader;
  std::vector<Frame> frames;
  bool sent_all = false;
  bool was_full = false;
  while (frames.size() < 3) {
    if (!sent_all) {
      const auto sent = writer.FlushTo(a_.get());
      ASSERT_TRUE(sent.ok()) << sent.status();
      sent_all = *sent;
      was_full |= !sent_all;
    }
    ASSERT_TRUE(reader.ReceiveFrom(b_.get()).ok());
    while (true) {
      auto frame = reader.Next();
      ASSERT_TRUE(frame.ok()) << frame.status();
      if (!frame->has_value()) break;
      frames.push_back(std::move(**frame));
    }
  }
  EXPECT_TRUE(was_full);
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(writer.queued_bytes(), 0u);
  EXPECT_EQ(frames[0].payload, large);
  EXPECT_EQ(frames[1].payload, "small");
  EXPECT_EQ(frames[1].encoding, Encoding::kJson);
  ASSERT_EQ(frames[0].fds.size(), 2u);
  ASSERT_EQ(frames[2].fds.size(), 1u);
  struct stat got{};
  ASSERT_EQ(::fstat(frames[2].fds[0].get(), &got), 0);
  EXPECT_EQ(got.st_rdev, null_stat.st_rdev);
}

TEST_F(FrameSocketTest, AQueuedFrameKeepsItsDescriptorUntilItIsSent) {
  FrameWriter writer(kAmple);
  const auto owner = std::make_shared<const os::UniqueFd>(NullFd());
  std::weak_ptr<const os::UniqueFd> alive = owner;
  {
    SharedFd shared{owner->get(), owner};
    ASSERT_TRUE(writer.Push(Encoding::kProtobuf, "x", {shared}).ok());
  }
  EXPECT_EQ(owner.use_count(), 2);
  ASSERT_TRUE(writer.FlushTo(a_.get()).ok());
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(FrameWriter, RefusesWhatIsTooLargeAndWhatTheQueueCannotHold) {
  FrameWriter writer(1000);
  EXPECT_EQ(CodeOf(writer.Push(Encoding::kProtobuf, std::string(kMaxPayloadBytes + 1, 'x'), {})),
            ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(writer.Push(Encoding::kProtobuf, "", std::vector<SharedFd>(254))),
            ErrorCode::kInvalidRequest);
  EXPECT_TRUE(writer.empty());
  ASSERT_TRUE(writer.Push(Encoding::kProtobuf, std::string(500, 'x'), {}).ok());
  const size_t queued = writer.queued_bytes();
  EXPECT_EQ(CodeOf(writer.Push(Encoding::kProtobuf, std::string(500, 'x'), {})),
            ErrorCode::kIoError);
  EXPECT_EQ(writer.queued_bytes(), queued);
}

TEST_F(FrameSocketTest, NewProgressReplacesUnsentProgressOfTheSameRequest) {
  FrameWriter writer(kAmple);
  ASSERT_TRUE(writer.Push(Encoding::kProtobuf, "7: 10%", {}, 7).ok());
  ASSERT_TRUE(writer.Push(Encoding::kProtobuf, "8: 10%", {}, 8).ok());
  ASSERT_TRUE(writer.Push(Encoding::kProtobuf, "7: 20%", {}, 7).ok());
  ASSERT_TRUE(writer.Push(Encoding::kProtobuf, "done", {}).ok());
  ASSERT_TRUE(writer.FlushTo(a_.get()).ok());
  FrameReader reader;
  ASSERT_TRUE(reader.ReceiveFrom(b_.get()).ok());
  std::vector<std::string> payloads;
  while (true) {
    auto frame = reader.Next();
    ASSERT_TRUE(frame.ok()) << frame.status();
    if (!frame->has_value()) break;
    payloads.push_back((*frame)->payload);
  }
  EXPECT_THAT(payloads, testing::ElementsAre("7: 20%", "8: 10%", "done"));
}

}  // namespace
}  // namespace warmset::wire

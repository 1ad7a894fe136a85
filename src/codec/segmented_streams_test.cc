#include "codec/segmented_streams.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/digest.h"

namespace warmset::codec {
namespace {

constexpr uint64_t kBf16Bytes = 1'000'000;  // seven blocks and a part
constexpr uint64_t kU8Bytes = 70'001;

// BF16 weights, and behind them bytes that are stored as they are.
class SegmentedStreamsTest : public ::testing::Test {
 protected:
  SegmentedStreamsTest() {
    for (size_t i = 0; i < raw_.size(); ++i) {
      raw_[i] = static_cast<std::byte>(i % 2 == 0 ? i * 7 : 0x3e + i % 3);
    }
    Add(CodecKind::kLayered, DType::kBF16, 0, kBf16Bytes);
    Add(CodecKind::kRaw, DType::kU8, kBf16Bytes, kU8Bytes);
  }
  void Add(CodecKind kind, DType dtype, uint64_t begin, uint64_t bytes) {
    const Codec& codec = GetCodec(kind);
    const uint64_t at = memory_.size();
    memory_.resize(at + codec.EncodedBound(dtype, bytes));
    const auto size = codec.Encode(std::span(raw_).subspan(begin, bytes), dtype,
                                   std::span(memory_).subspan(at));
    ASSERT_TRUE(size.ok()) << size.status();
    memory_.resize(at + *size);
    segments_.push_back({begin, bytes, at, *size});
  }
  SegmentedStreams Streams() const {
    auto streams = SegmentedStreams::Create(segments_, memory_);
    EXPECT_TRUE(streams.ok()) << streams.status();
    return *std::move(streams);
  }
  ErrorCode CreateCode() const {
    return CodeOf(SegmentedStreams::Create(segments_, memory_).status());
  }

  std::vector<std::byte> raw_ = std::vector<std::byte>(kBf16Bytes + kU8Bytes);
  std::vector<std::byte> memory_;
  std::vector<StreamSegment> segments_;
};

TEST_F(SegmentedStreamsTest, GivesAnyRangeFromTheTableToo) {
  const auto parsed = SegmentedStreams::Parse(AsBytes(Streams().EncodeTable()), memory_);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->bytes(), raw_.size());
  const uint64_t kBlock = 2 * kMaxBlockElements;
  for (const auto& [begin, bytes] : std::vector<std::pair<uint64_t, uint64_t>>{
           {0, raw_.size()}, {0, 1}, {kBlock, kBlock}, {kBlock - 1, 2}, {5, 3 * kBlock},
           {kBf16Bytes - 3, 10}, {raw_.size() - 1, 1}, {kBlock, kBf16Bytes - kBlock}, {17, 0}}) {
    std::vector<std::byte> range(bytes);
    ASSERT_TRUE(parsed->DecodeRange(begin, range, Stores::kCached).ok());
    EXPECT_TRUE(std::equal(range.begin(), range.end(),
                           raw_.begin() + static_cast<ptrdiff_t>(begin)))
        << bytes << " bytes at " << begin;
  }
}

TEST_F(SegmentedStreamsTest, WholeBlocksAroundAnOffset) {
  const SegmentedStreams streams = Streams();
  const uint64_t kBlock = 2 * kMaxBlockElements;
  const auto range = [&](uint64_t offset, uint64_t at_most) {
    const auto blocks = streams.BlocksAt(offset, at_most);
    EXPECT_TRUE(blocks.ok()) << blocks.status();
    return std::pair(blocks->begin, blocks->bytes);
  };
  EXPECT_EQ(range(0, 1), std::pair(uint64_t{0}, kBlock));
  EXPECT_EQ(range(kBlock + 5, 3 * kBlock - 1), std::pair(kBlock, 2 * kBlock));
  EXPECT_EQ(range(kBf16Bytes - 1, 9 * kBlock), std::pair(7 * kBlock, kBf16Bytes - 7 * kBlock));
  EXPECT_EQ(range(kBf16Bytes, 1 << 20), std::pair(kBf16Bytes, kU8Bytes));
}

TEST_F(SegmentedStreamsTest, TablesThatDoNotFitAreRefused) {
  EXPECT_EQ(CodeOf(SegmentedStreams::Parse(std::span(memory_).first(33), memory_).status()),
            ErrorCode::kCorruptedModel);
  const std::vector<StreamSegment> good = segments_;
  const auto spoilt = [&](size_t i, uint64_t StreamSegment::*field, uint64_t value) {
    segments_ = good;
    segments_[i].*field = value;
    return CreateCode();
  };
  EXPECT_EQ(spoilt(1, &StreamSegment::begin, kBf16Bytes + 1), ErrorCode::kCorruptedModel);
  EXPECT_EQ(spoilt(0, &StreamSegment::begin, 1), ErrorCode::kCorruptedModel);
  EXPECT_EQ(spoilt(0, &StreamSegment::bytes, 0), ErrorCode::kCorruptedModel);
  EXPECT_EQ(spoilt(1, &StreamSegment::bytes, UINT64_MAX), ErrorCode::kCorruptedModel);
  EXPECT_EQ(spoilt(1, &StreamSegment::stream_bytes, memory_.size()), ErrorCode::kCorruptedModel);
  EXPECT_EQ(spoilt(1, &StreamSegment::stream_begin, UINT64_MAX), ErrorCode::kCorruptedModel);
}

TEST_F(SegmentedStreamsTest, AStreamOfAnotherSizeIsRefused) {
  segments_.resize(1);
  segments_[0].bytes += 2;
  const SegmentedStreams streams = Streams();
  std::vector<std::byte> all(streams.bytes());
  EXPECT_EQ(CodeOf(streams.DecodeRange(0, all)), ErrorCode::kCorruptedModel);
  EXPECT_EQ(CodeOf(streams.DecodeSegment(segments_[0], all)), ErrorCode::kCorruptedModel);
  EXPECT_EQ(CodeOf(streams.BlocksAt(0, 1).status()), ErrorCode::kCorruptedModel);
}

TEST_F(SegmentedStreamsTest, DamageIsFoundInTheBlockThatItIsIn) {
  memory_[segments_[0].stream_bytes - 500] ^= std::byte{1};
  const SegmentedStreams streams = Streams();
  std::vector<std::byte> byte(1);
  EXPECT_TRUE(streams.DecodeRange(0, byte).ok());
  EXPECT_EQ(CodeOf(streams.DecodeRange(kBf16Bytes - 1, byte)), ErrorCode::kCorruptedModel);
}

TEST_F(SegmentedStreamsTest, NoSegmentsAreNoBytes) {
  const auto nothing = SegmentedStreams::Parse({}, {});
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing->bytes(), 0u);
  EXPECT_TRUE(nothing->DecodeRange(0, {}).ok());
}

}  // namespace
}  // namespace warmset::codec

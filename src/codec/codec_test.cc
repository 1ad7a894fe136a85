// What every codec promises, run for each of them, and for the layered one with
// each instruction set.
#include "codec/codec.h"

#include <algorithm>
#include <cstring>
#include <random>

#include "codec/layered/layered_codec.h"
#include "codec/raw_codec.h"
#include "codec/synthetic_weights.h"
#include "codec/zstd_codec.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset::codec {
namespace {

using Bytes = std::vector<std::byte>;

constexpr DType kDTypes[] = {DType::kBF16, DType::kF16, DType::kF32, DType::kF8E4M3, DType::kF8E5M2,
                             DType::kI8,   DType::kU8,  DType::kI64, DType::kF4};

struct Implementation {
  std::string_view name;
  const Codec* codec;
};

std::vector<Implementation> Implementations() {
  static const RawCodec raw;
  static const ZstdCodec zstd;
  static const LayeredCodec layered[] = {LayeredCodec(InstructionSet::kScalar),
                                         LayeredCodec(InstructionSet::kAvx2),
                                         LayeredCodec(InstructionSet::kAvx512)};
  std::vector<Implementation> all = {{"raw", &raw}, {"zstd", &zstd}};
  for (const InstructionSet set :
       {InstructionSet::kScalar, InstructionSet::kAvx2, InstructionSet::kAvx512}) {
    if (CanRun(set)) all.push_back({InstructionSetName(set), &layered[static_cast<size_t>(set)]});
  }
  return all;
}

Bytes RandomBytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

Bytes Encode(const Codec& codec, const Bytes& elements, DType dtype,
             const EncodeOptions& options = {}) {
  Bytes stream(codec.EncodedBound(dtype, elements.size(), options));
  const auto bytes = codec.Encode(elements, dtype, stream, options);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  stream.resize(bytes.value_or(0));
  // No slack, so that sanitizers see reads behind the end.
  return Bytes(stream.begin(), stream.end());
}

class CodecConformance : public testing::TestWithParam<Implementation> {
 protected:
  const Codec& codec() const { return *GetParam().codec; }

  // Every dtype with data of every kind, `elements` of each.
  template <typename Check>
  void ForEachKind(size_t elements, Check check) const {
    for (const DType dtype : kDTypes) {
      if (!codec().Supports(dtype)) continue;
      const size_t bytes = elements * StorageBytes(dtype);
      const auto run = [&](const char* kind, Bytes data) {
        SCOPED_TRACE(testing::Message()
                     << kind << ' ' << DTypeName(dtype) << ", " << elements << " elements");
        data.resize(bytes);
        check(dtype, data);
      };
      run("zeros", Bytes(bytes));
      run("random", RandomBytes(bytes, elements));
      Bytes sparse(bytes);
      for (size_t i = 0; i < bytes; i += 97) sparse[i] = static_cast<std::byte>(i * 7);
      run("sparse", sparse);
      if (dtype == DType::kI64 || dtype == DType::kF4 || dtype == DType::kU8) continue;
      const size_t rows = elements / 512 + 1;
      run("weights", MakeSyntheticWeights({.dtype = dtype, .rows = rows, .columns = 512}));
      run("cast weights",
          MakeSyntheticWeights(
              {.dtype = dtype, .cast_from = DType::kBF16, .rows = rows, .columns = 512}));
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Codecs, CodecConformance, testing::ValuesIn(Implementations()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(CodecConformance, DecodesWhatItEncoded) {
  for (const size_t elements : {0U, 1U, 63U, 64U, 65U, 4096U, 5000U, 65536U, 70001U}) {
    ForEachKind(elements, [&](DType dtype, const Bytes& data) {
      for (const uint32_t block_elements : {kMinBlockElements, kMaxBlockElements}) {
        const Bytes stream = Encode(codec(), data, dtype, {.block_elements = block_elements});
        Bytes decoded(data.size(), std::byte{0xa5});
        const Status status = codec().Decode(stream, decoded);
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_TRUE(decoded == data);
      }
    });
  }
}

TEST_P(CodecConformance, DecodesAnyRangeOfBlocks) {
  ForEachKind(5 * kMinBlockElements + 77, [&](DType dtype, const Bytes& data) {
    const Bytes stream = Encode(codec(), data, dtype, {.block_elements = kMinBlockElements});
    const uint64_t block_bytes = kMinBlockElements * StorageBytes(dtype);
    for (uint64_t first = 0; first <= 6; ++first) {
      for (uint64_t count = 0; first + count <= 6; ++count) {
        const auto begin =
            data.begin() + static_cast<ptrdiff_t>(std::min(first * block_bytes, data.size()));
        const auto end = data.begin() + static_cast<ptrdiff_t>(
                                            std::min((first + count) * block_bytes, data.size()));
        Bytes decoded(static_cast<size_t>(end - begin));
        const Status status = codec().DecodeBlocks(stream, first, count, decoded);
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_TRUE(std::equal(begin, end, decoded.begin()));
      }
    }
  });
}

TEST_P(CodecConformance, ThreadsAndStoresChangeNothing) {
  ForEachKind(9 * kMinBlockElements + 1, [&](DType dtype, const Bytes& data) {
    const Bytes stream = Encode(codec(), data, dtype, {.block_elements = kMinBlockElements});
    EXPECT_TRUE(stream ==
                Encode(codec(), data, dtype, {.block_elements = kMinBlockElements, .threads = 3}));
    for (const Stores stores : {Stores::kCached, Stores::kNonTemporal}) {
      for (const size_t misalignment : {0U, 1U, 8U, 63U}) {
        Bytes room(data.size() + 128, std::byte{0xA5});
        void* start = room.data();
        size_t space = room.size();
        std::align(64, data.size(), start, space);
        const std::span decoded(static_cast<std::byte*>(start) + misalignment, data.size());
        const Status status = codec().Decode(stream, decoded, {.threads = 2, .stores = stores});
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_TRUE(std::ranges::equal(decoded, data));
        const auto untouched = [](std::byte byte) { return byte == std::byte{0xA5}; };
        ASSERT_TRUE(std::all_of(room.data(), decoded.data(), untouched));
        ASSERT_TRUE(std::all_of(decoded.data() + decoded.size(), room.data() + room.size(),
                                untouched));
      }
    }
  });
}

TEST_P(CodecConformance, StaysBelowItsBound) {
  for (const size_t elements : {0U, 1U, 100U, 70000U}) {
    ForEachKind(elements, [&](DType dtype, const Bytes& data) {
      const uint64_t bound = codec().EncodedBound(dtype, data.size());
      EXPECT_LE(Encode(codec(), data, dtype).size(), bound);
      Bytes small(bound - 1);
      EXPECT_EQ(CodeOf(codec().Encode(data, dtype, small).status()), ErrorCode::kInvalidRequest);
    });
  }
}

TEST_P(CodecConformance, RejectsWrongRequests) {
  const Bytes data = RandomBytes(1024, 1);
  Bytes stream(1 << 20);
  const auto code = [&](std::span<const std::byte> elements, DType dtype, uint32_t block) {
    return CodeOf(codec().Encode(elements, dtype, stream, {.block_elements = block}).status());
  };
  EXPECT_EQ(code(data, DType::kInvalid, 65536), ErrorCode::kInvalidRequest);
  EXPECT_EQ(code(std::span(data).first(1023), DType::kBF16, 65536), ErrorCode::kInvalidRequest);
  for (const uint32_t block : {0U, 2048U, 5000U, 131072U}) {
    EXPECT_EQ(code(data, DType::kBF16, block), ErrorCode::kInvalidRequest);
  }
  const Bytes encoded = Encode(codec(), data, DType::kBF16);
  Bytes decoded(1024);
  EXPECT_EQ(CodeOf(codec().Decode(encoded, std::span(decoded).first(1022))),
            ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(codec().DecodeBlocks(encoded, 1, 1, {})), ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(codec().DecodeBlocks(encoded, 2, ~uint64_t{0}, {})), ErrorCode::kInvalidRequest);
}

TEST_P(CodecConformance, FindsEveryTruncationAndEveryFlippedByte) {
  ForEachKind(300, [&](DType dtype, const Bytes& data) {
    const Bytes stream = Encode(codec(), data, dtype, {.block_elements = kMinBlockElements});
    Bytes decoded(data.size());
    for (size_t size = 0; size < stream.size(); ++size) {
      const Bytes truncated(stream.begin(), stream.begin() + static_cast<ptrdiff_t>(size));
      ASSERT_EQ(CodeOf(codec().Decode(truncated, decoded)), ErrorCode::kCorruptedModel);
    }
    for (size_t i = 0; i < stream.size(); ++i) {
      Bytes flipped = stream;
      flipped[i] ^= std::byte{0x10};
      ASSERT_EQ(CodeOf(codec().Decode(flipped, decoded)), ErrorCode::kCorruptedModel) << i;
    }
  });
}

TEST_P(CodecConformance, StaysInItsBuffersWithoutChecksums) {
  ForEachKind(300, [&](DType dtype, const Bytes& data) {
    const Bytes stream = Encode(codec(), data, dtype, {.block_elements = kMinBlockElements});
    const auto view = StreamView::Parse(stream);
    ASSERT_TRUE(view.ok());
    if (view->block_count() == 0) return;
    const auto first = static_cast<size_t>(view->block(0).data() - stream.data());
    for (size_t i = first; i < stream.size(); ++i) {
      for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
        Bytes flipped = stream;
        flipped[i] ^= static_cast<std::byte>(flip);
        Bytes decoded(data.size());
        const Status status = codec().Decode(flipped, decoded, {.verify_checksums = false});
        if (!status.ok()) {
          ASSERT_EQ(CodeOf(status), ErrorCode::kCorruptedModel) << status;
        }
      }
    }
  });
}

// Old files of one machine are read on another, and by the reference.
TEST(LayeredCodec, InstructionSetsWriteAndReadTheSameStreams) {
  const auto implementations = Implementations();
  const LayeredCodec scalar(InstructionSet::kScalar);
  for (const Implementation& one : implementations) {
    if (one.codec->kind() != CodecKind::kLayered) continue;
    for (const DType dtype :
         {DType::kBF16, DType::kF16, DType::kF32, DType::kF8E4M3, DType::kF8E5M2, DType::kI8}) {
      for (const DType cast_from : {DType::kInvalid, DType::kBF16}) {
        SCOPED_TRACE(testing::Message() << one.name << ' ' << DTypeName(dtype));
        const Bytes data = MakeSyntheticWeights(
            {.dtype = dtype, .cast_from = cast_from, .rows = 67, .columns = 1023});
        const Bytes stream = Encode(scalar, data, dtype);
        ASSERT_TRUE(Encode(*one.codec, data, dtype) == stream);
        Bytes decoded(data.size());
        const Status status = one.codec->Decode(stream, decoded);
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_TRUE(decoded == data);
      }
    }
  }
}

double RatioOf(DType dtype, DType cast_from) {
  // Integers are scaled by column.
  const bool by_column = dtype == DType::kI8;
  const Bytes data = MakeSyntheticWeights({.dtype = dtype,
                                           .cast_from = cast_from,
                                           .rows = by_column ? 4096U : 64U,
                                           .columns = by_column ? 64U : 4096U});
  const LayeredCodec codec(InstructionSet::kScalar);
  return static_cast<double>(data.size()) / static_cast<double>(Encode(codec, data, dtype).size());
}

TEST(LayeredCodec, ComesCloseToTheEntropy) {
  EXPECT_GT(RatioOf(DType::kBF16, DType::kInvalid), 1.48);
  EXPECT_GT(RatioOf(DType::kF32, DType::kInvalid), 1.19);
  EXPECT_GT(RatioOf(DType::kF16, DType::kInvalid), 1.155);
  EXPECT_GT(RatioOf(DType::kF32, DType::kBF16), 2.9);
  EXPECT_GT(RatioOf(DType::kF16, DType::kBF16), 1.47);
  EXPECT_GT(RatioOf(DType::kF8E4M3, DType::kInvalid), 1.18);
  EXPECT_GT(RatioOf(DType::kI8, DType::kInvalid), 1.2);
}

TEST(LayeredCodec, AConstantTakesNoSpace) {
  const Bytes zeros(10 * 65536 * 2);
  EXPECT_LT(Encode(LayeredCodec(InstructionSet::kScalar), zeros, DType::kBF16).size(), 1100U);
}

TEST(CodecOf, FindsTheCodecThatWroteAStream) {
  const Bytes data = RandomBytes(1000, 2);
  for (const CodecKind kind : {CodecKind::kRaw, CodecKind::kLayered, CodecKind::kZstd}) {
    const Codec& codec = GetCodec(kind);
    EXPECT_EQ(codec.kind(), kind);
    const auto found = CodecOf(Encode(codec, data, DType::kBF16));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, &codec);
  }
  EXPECT_EQ(CodeOf(CodecOf(data).status()), ErrorCode::kCorruptedModel);
}

TEST(CodecOf, AnotherCodecsStreamIsAnError) {
  const Bytes data = RandomBytes(1000, 2);
  const Bytes stream = Encode(GetCodec(CodecKind::kRaw), data, DType::kBF16);
  Bytes decoded(data.size());
  EXPECT_EQ(CodeOf(GetCodec(CodecKind::kZstd).Decode(stream, decoded)), ErrorCode::kCorruptedModel);
}

}  // namespace
}  // namespace warmset::codec

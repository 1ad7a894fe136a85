#include "inspect/onnx/wire.h"

#include "base/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/onnx/test_onnx.h"

namespace warmset {
namespace {

using namespace onnx_test;
using testing::HasSubstr;

// Counts what is read from it.
class CountingSource final : public ByteSource {
 public:
  explicit CountingSource(std::string_view bytes) : ByteSource(bytes.size()), bytes_(bytes) {}
  uint64_t bytes_read = 0;

 private:
  Status ReadInside(uint64_t offset, std::span<std::byte> buffer) override {
    bytes_read += buffer.size();
    std::memcpy(buffer.data(), bytes_.data() + offset, buffer.size());
    return OkStatus();
  }
  const std::string_view bytes_;
};

struct Walk {
  std::vector<WireField> fields;
  Status status;
};

Walk WalkAll(std::string_view message) {
  MemorySource file(AsBytes(message));
  WireSource source(file);
  WireMessage fields(source, {0, message.size()});
  Walk walk;
  while (fields.Next()) walk.fields.push_back(fields.field());
  walk.status = fields.status();
  return walk;
}

TEST(WireTest, FieldsOfEveryTypeAreSteppedThrough) {
  const Walk walk = WalkAll(Number(1, UINT64_MAX) + Bytes(2, "abc") + Float(3, 1.0f) +
                            Tag(536870911, 1) + std::string(8, 'd'));
  ASSERT_TRUE(walk.status.ok()) << walk.status;
  ASSERT_EQ(walk.fields.size(), 4u);
  EXPECT_EQ(walk.fields[0].value, UINT64_MAX);
  EXPECT_EQ(walk.fields[1].content, (WireSpan{13, 16}));
  EXPECT_EQ(walk.fields[2].type, WireType::kFixed32);
  EXPECT_EQ(walk.fields[2].content.size(), 4u);
  EXPECT_EQ(walk.fields[3].number, 536870911u);
  EXPECT_EQ(walk.fields[3].content.size(), 8u);
}

TEST(WireTest, AnEmptyMessageHasNoFields) {
  const Walk walk = WalkAll("");
  EXPECT_TRUE(walk.status.ok());
  EXPECT_TRUE(walk.fields.empty());
}

struct BrokenMessage {
  std::string_view name;
  std::string bytes;
  std::string_view message;
  uint64_t offset = 0;
  ErrorCode code = ErrorCode::kCorruptedModel;
};

class BrokenWire : public testing::TestWithParam<BrokenMessage> {};

TEST_P(BrokenWire, EndsTheWalkWithItsOffset) {
  const Walk walk = WalkAll(GetParam().bytes);
  EXPECT_EQ(CodeOf(walk.status), GetParam().code);
  EXPECT_THAT(std::string(Message(walk.status)), HasSubstr(std::string(GetParam().message)));
  EXPECT_EQ(OffsetOf(walk.status), GetParam().offset);
}

constexpr ErrorCode kIncomplete = ErrorCode::kIncompleteModel;

std::vector<BrokenMessage> BrokenMessages() {
  const std::string eleven_bytes = std::string(10, '\xff') + '\1';
  return {
      {"tag_cut_off", "\x80", "cut off", 1, kIncomplete},
      {"tag_without_value", "\x08", "cut off", 1, kIncomplete},
      {"varint_cut_off", "\x08\xff\xff", "cut off", 3, kIncomplete},
      {"varint_of_eleven_bytes", "\x08" + eleven_bytes, "64 bits", 1},
      {"varint_of_65_bits", "\x08" + std::string(9, '\xff') + '\2', "64 bits", 1},
      {"field_number_zero", std::string("\0\0", 2), "number 0"},
      {"field_number_too_large", Varint(uint64_t{1} << 32) + Varint(0), "the number 536870912"},
      {"group", Tag(1, 3) + Tag(1, 4), "wire type 3"},
      {"end_of_group", Tag(1, 4), "wire type 4"},
      {"wire_type_6", Tag(1, 6), "wire type 6"},
      {"wire_type_7", Tag(1, 7), "wire type 7"},
      {"content_cut_off", Tag(1, 2) + Varint(3) + "ab", "4 of 5 bytes", 4, kIncomplete},
      {"length_of_2_to_the_63", Tag(1, 2) + Varint(uint64_t{1} << 63), "any model's file", 11},
      {"length_of_all_ones", Tag(1, 2) + Varint(UINT64_MAX), "any model's file", 11},
      {"fixed32_cut_off", Tag(1, 5) + "abc", "4 of 5 bytes", 4, kIncomplete},
      {"fixed64_cut_off", Tag(1, 1) + "abcdefg", "8 of 9 bytes", 8, kIncomplete},
      {"second_field", Number(1, 1) + Tag(2, 2) + Varint(9), "4 of 13 bytes", 4, kIncomplete},
  };
}

INSTANTIATE_TEST_SUITE_P(, BrokenWire, testing::ValuesIn(BrokenMessages()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(WireTest, WhatIsSteppedOverIsNotRead) {
  const std::string message = Number(1, 1) + Bytes(9, std::string(8 << 20, 'w')) + Number(2, 2);
  CountingSource file(message);
  WireSource source(file);
  WireMessage fields(source, {0, message.size()});
  int count = 0;
  while (fields.Next()) ++count;
  EXPECT_EQ(count, 3);
  EXPECT_LT(file.bytes_read, 16 * kKiB);
}

TEST(WireTest, NestedWalksReadEachPartOnce) {
  std::string message;
  for (int i = 0; i < 100'000; ++i) message += Bytes(1, Number(1, 7));
  CountingSource file(message);
  WireSource source(file);
  WireMessage outer(source, {0, message.size()});
  uint64_t sum = 0;
  while (outer.Next()) {
    WireMessage inner(source, outer.field().content);
    while (inner.Next()) sum += inner.field().value;
  }
  EXPECT_TRUE(outer.status().ok());
  EXPECT_EQ(sum, 700'000u);
  EXPECT_LT(file.bytes_read, message.size() * 2);
}

TEST(WireTest, PackedNumbersAreCountedAndRead) {
  const std::string packed = Varint(1) + Varint(300) + Varint(UINT64_MAX);
  MemorySource file(AsBytes(packed));
  WireSource source(file);
  const auto count = CountPackedVarints(source, {0, packed.size()});
  ASSERT_TRUE(count.ok());
  EXPECT_EQ(*count, 3u);
  std::vector<uint64_t> values;
  ASSERT_TRUE(ReadPackedVarints(source, {0, packed.size()}, 3, values).ok());
  EXPECT_EQ(values, (std::vector<uint64_t>{1, 300, UINT64_MAX}));
  values.clear();
  EXPECT_EQ(CodeOf(ReadPackedVarints(source, {0, packed.size()}, 2, values)),
            ErrorCode::kUnsupportedFormat);
  EXPECT_EQ(CodeOf(CountPackedVarints(source, {0, 2}).status()), ErrorCode::kCorruptedModel);
}

TEST(WireTest, PackedNumbersWithoutEndAreRefused) {
  const std::string packed(100, '\xff');
  MemorySource file(AsBytes(packed));
  WireSource source(file);
  EXPECT_EQ(CodeOf(CountPackedVarints(source, {0, packed.size()}).status()),
            ErrorCode::kCorruptedModel);
}

TEST(WireTest, ContentLargerThanTheWindowIsReadWhole) {
  std::string text(300'000, 'x');
  text.back() = 'y';
  const std::string message = Bytes(1, text);
  MemorySource file(AsBytes(message));
  WireSource source(file);
  WireMessage fields(source, {0, message.size()});
  ASSERT_TRUE(fields.Next());
  std::string read;
  ASSERT_TRUE(ReadContent(source, fields.field().content, read).ok());
  EXPECT_EQ(read, text);
}

}  // namespace
}  // namespace warmset

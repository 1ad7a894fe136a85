#include "inspect/gguf/reader.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/gguf/test_gguf.h"
#include "inspect/read_for_test.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::StartsWith;

constexpr int64_t kMax = INT64_MAX;
constexpr uint32_t kQ4_K = 12;

StatusOr<FileContents> Parse(const std::string& file) { return ReadForTest(GgufReader(), file); }

std::vector<uint64_t> ShapeOf(const TensorView& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

std::vector<std::string> Messages(const FileContents& contents) {
  std::vector<std::string> messages;
  for (const Finding& finding : contents.findings) messages.push_back(finding.message);
  return messages;
}

TEST(GgufReaderTest, TensorsAreListedOutermostFirstFromTheFilesFirstByte) {
  const std::string file = TestGguf()
                               .Set("general.architecture", "llama")
                               .Tensor("token_embd.weight", {256, 3}, kQ4_K, 3 * 144)
                               .Tensor("norm", {5})
                               .Tensor("scalar", {})
                               .File();
  const auto parsed = Parse(file);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->format_version, "3");
  EXPECT_THAT(parsed->findings, IsEmpty());
  EXPECT_THAT(parsed->metadata, ElementsAre(Pair("general.architecture", "llama")));
  ASSERT_EQ(parsed->tensors.size(), 3u);
  const uint64_t begin = file.size() - (448 + 32 + 32);
  EXPECT_EQ(begin % 32, 0u);
  const TensorView embedding = parsed->tensors[0];
  EXPECT_EQ(embedding.name, "token_embd.weight");
  EXPECT_EQ(embedding.dtype, DType::kQ4_K);
  EXPECT_THAT(ShapeOf(embedding), ElementsAre(3, 256));
  EXPECT_EQ(embedding.storage, TensorStorage::kContiguous);
  EXPECT_EQ(embedding.offset, begin);
  EXPECT_EQ(embedding.bytes, 432u);
  EXPECT_EQ(parsed->tensors[1].offset, begin + 448);
  EXPECT_EQ(parsed->tensors[1].bytes, 20u);
  EXPECT_THAT(ShapeOf(parsed->tensors[2]), IsEmpty());
  EXPECT_EQ(parsed->tensors[2].bytes, 4u);
}

TEST(GgufReaderTest, EveryTypeHasItsBlock) {
  struct Case {
    uint32_t type;
    DType dtype;
    int64_t elements;
    uint64_t bytes;
  };
  for (const auto& [type, dtype, elements, bytes] :
       std::vector<Case>{{0, DType::kF32, 1, 4},         {1, DType::kF16, 1, 2},
                         {2, DType::kQ4_0, 32, 18},      {3, DType::kQ4_1, 32, 20},
                         {6, DType::kQ5_0, 32, 22},      {7, DType::kQ5_1, 32, 24},
                         {8, DType::kQ8_0, 32, 34},      {9, DType::kQ8_1, 32, 36},
                         {10, DType::kQ2_K, 256, 84},    {11, DType::kQ3_K, 256, 110},
                         {12, DType::kQ4_K, 256, 144},   {13, DType::kQ5_K, 256, 176},
                         {14, DType::kQ6_K, 256, 210},   {15, DType::kQ8_K, 256, 292},
                         {16, DType::kIQ2_XXS, 256, 66}, {17, DType::kIQ2_XS, 256, 74},
                         {18, DType::kIQ3_XXS, 256, 98}, {19, DType::kIQ1_S, 256, 50},
                         {20, DType::kIQ4_NL, 32, 18},   {21, DType::kIQ3_S, 256, 110},
                         {22, DType::kIQ2_S, 256, 82},   {23, DType::kIQ4_XS, 256, 136},
                         {24, DType::kI8, 1, 1},         {25, DType::kI16, 1, 2},
                         {26, DType::kI32, 1, 4},        {27, DType::kI64, 1, 8},
                         {28, DType::kF64, 1, 8},        {29, DType::kIQ1_M, 256, 56},
                         {30, DType::kBF16, 1, 2},       {34, DType::kTQ1_0, 256, 54},
                         {35, DType::kTQ2_0, 256, 66},   {39, DType::kMXFP4, 32, 17},
                         {40, DType::kNVFP4, 64, 36},    {41, DType::kQ1_0, 128, 18},
                         {42, DType::kQ2_0, 64, 18}}) {
    const auto parsed =
        Parse(TestGguf().Tensor("a", {2 * elements, 3}, type, 6 * bytes).Tensor("b", {1}).File());
    ASSERT_TRUE(parsed.ok()) << type << ": " << parsed.status();
    EXPECT_EQ(parsed->tensors[0].dtype, dtype) << type;
    EXPECT_EQ(parsed->tensors[0].bytes, 6 * bytes) << type;
    if (elements == 1) continue;
    const Status halved =
        Parse(TestGguf().Tensor("a", {elements / 2, 4}, type, 2 * bytes).File()).status();
    EXPECT_EQ(CodeOf(halved), ErrorCode::kCorruptedModel) << type;
    EXPECT_THAT(std::string(Message(halved)), HasSubstr("whole number of")) << type;
  }
}

TEST(GgufReaderTest, MetadataIsKeptAsText) {
  const auto parsed = Parse(TestGguf()
                                .Set("u8", uint8_t{200})
                                .Set("i8", int8_t{-5})
                                .Set("u16", uint16_t{65535})
                                .Set("i16", int16_t{-6})
                                .Set("u32", uint32_t{4'000'000'000})
                                .Set("i32", int32_t{-7})
                                .Set("u64", uint64_t{1} << 63)
                                .Set("i64", int64_t{-8})
                                .Set("f32", 0.1f)
                                .Set("f64", 1e300)
                                .Set("nan", std::nan(""))
                                .Set("yes", true)
                                .Set("no", false)
                                .Set("text", "zażółć")
                                .Set("empty", "")
                                .Set("tokens", std::vector<std::string>{"<s>", "", "\xFF"})
                                .File());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->findings, IsEmpty());
  EXPECT_THAT(parsed->metadata,
              testing::UnorderedElementsAre(
                  Pair("u8", "200"), Pair("i8", "-5"), Pair("u16", "65535"), Pair("i16", "-6"),
                  Pair("u32", "4000000000"), Pair("i32", "-7"), Pair("u64", "9223372036854775808"),
                  Pair("i64", "-8"), Pair("f32", "0.1"), Pair("f64", "1e+300"), Pair("nan", "nan"),
                  Pair("yes", "true"), Pair("no", "false"), Pair("text", "zażółć"),
                  Pair("empty", ""), Pair("tokens", "[3]")));
}

TEST(GgufReaderTest, AHostileChatTemplateIsTextOfBoundedLength) {
  const std::string begin = "{% for x in ().__class__.__base__.__subclasses__() %}";
  std::string chat = begin;
  while (chat.size() < 1'000'000) chat += "€";
  const auto parsed =
      Parse(TestGguf().Set("tokenizer.chat_template", chat).Set("general.name", "x").File());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const std::string& kept = parsed->metadata.at("tokenizer.chat_template");
  EXPECT_THAT(kept, StartsWith(begin));
  EXPECT_LE(kept.size(), 4096u);
  EXPECT_EQ(kept.substr(kept.size() - 3), "€");
  EXPECT_EQ(parsed->metadata.at("general.name"), "x");
}

TEST(GgufReaderTest, TextThatIsNotUtf8IsMadeSo) {
  const auto parsed = Parse(TestGguf().Set("a\xFF", "b\xC3").File());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->metadata, ElementsAre(Pair("a\uFFFD", "b\uFFFD")));
}

TEST(GgufReaderTest, MetadataIsKeptUpToALimit) {
  TestGguf file;
  for (int i = 0; i < 400; ++i) file.Set("key." + std::to_string(i), std::string(4000, 'x'));
  const auto parsed = Parse(file.Tensor("a", {1}).File());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->metadata.size(), 261u);
  EXPECT_THAT(Messages(*parsed), ElementsAre(HasSubstr("only the first")));
  EXPECT_EQ(parsed->tensors.size(), 1u);
}

TEST(GgufReaderTest, ALongTokenizerIsSkipped) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 150'000; ++i) tokens.push_back("token" + std::to_string(i));
  const auto parsed =
      Parse(TestGguf().Set("tokenizer.ggml.tokens", tokens).Set("after", uint32_t{1}).File());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->metadata.at("tokenizer.ggml.tokens"), "[150000]");
  EXPECT_EQ(parsed->metadata.at("after"), "1");
}

struct Accepted {
  std::string_view name;
  std::string file;
  size_t warnings = 0;
};

class AcceptedGguf : public testing::TestWithParam<Accepted> {};

TEST_P(AcceptedGguf, Parses) {
  const auto parsed = Parse(GetParam().file);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->findings.size(), GetParam().warnings);
}

std::string CutAtEnd(std::string file, size_t bytes) {
  file.resize(file.size() - bytes);
  return file;
}

std::vector<Accepted> AcceptedFiles() {
  return {
      {"version_2", TestGguf().Version(2).Tensor("a", {4}).File()},
      {"empty", TestGguf().File()},
      {"empty_without_padding", CutAtEnd(TestGguf().File(), 8)},
      {"metadata_only", TestGguf().Set("general.type", "vocab").File()},
      {"custom_alignment", TestGguf().Alignment(1).Tensor("a", {3}, 24, 3).Tensor("b", {2}).File()},
      {"large_alignment", TestGguf().Alignment(4096).Tensor("a", {3}).Tensor("b", {2}).File()},
      {"alignment_behind_other_keys",
       TestGguf().Set("x", 1).Alignment(64).Set("y", 2).Tensor("a", {3}).Tensor("b", {1}).File()},
      {"trailing_bytes", TestGguf().Tensor("a", {8}).File() + "behind"},
      {"trailing_bytes_without_tensors", TestGguf().File() + std::string(1000, 'x')},
      {"last_padding_missing", CutAtEnd(TestGguf().Tensor("a", {5}).File(), 12), 1},
      {"last_padding_cut", CutAtEnd(TestGguf().Tensor("a", {5}).File(), 1), 1},
      {"zero_dims", TestGguf().Tensor("a", {}).File()},
      {"four_dims", TestGguf().Tensor("a", {2, 3, 1, 1}).File()},
      {"zero_dim", TestGguf().Tensor("a", {5, 0}).Tensor("b", {1}).File()},
      {"zero_dim_of_blocks", TestGguf().Tensor("a", {0, 7}, TestGguf::kQ4_0, 0).File()},
      {"zero_dim_beside_huge", TestGguf().RawTensor("a", {1LL << 40, 1LL << 40, 0}, 0, 0).File()},
      {"name_of_63_bytes", TestGguf().Tensor(std::string(63, 'n'), {1}).File()},
      {"name_empty", TestGguf().Tensor("", {1}).File()},
      {"key_of_65535_bytes", TestGguf().Set(std::string(65535, 'k'), 1).File()},
      {"bool_of_2", TestGguf().Pair("b", 7, "\2").File(), 1},
      {"bools_of_any_byte",
       TestGguf().Pair("b", 9, TestGguf::Raw(7) + TestGguf::Raw<uint64_t>(2) + "ab").File()},
      {"array_empty",
       TestGguf().Pair("a", 9, TestGguf::Raw(12) + TestGguf::Raw<uint64_t>(0)).File()},
      {"key_with_nul", TestGguf().Set(std::string_view("a\0b", 3), 1).Set("a", 1).File()},
  };
}

INSTANTIATE_TEST_SUITE_P(, AcceptedGguf, testing::ValuesIn(AcceptedFiles()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(GgufReaderTest, NamesEndAtANul) {
  const auto parsed = Parse(TestGguf().Tensor(std::string_view("a\0b", 3), {1}).File());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->tensors[0].name, "a");
}

struct Broken {
  std::string_view name;
  std::string file;
  std::string_view message;
  ErrorCode code = ErrorCode::kCorruptedModel;
};

class BrokenGguf : public testing::TestWithParam<Broken> {};

TEST_P(BrokenGguf, IsRefusedWithItsReason) {
  const Status status = Parse(GetParam().file).status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(CodeOf(status), GetParam().code) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr(std::string(GetParam().message)));
}

std::string Header(uint32_t version, int64_t tensors, int64_t pairs) {
  return TestGguf().Version(version).Counts(tensors, pairs).File().substr(0, 24);
}

// An array of that many elements, without them.
std::string ArrayOf(uint32_t type, uint64_t count) {
  return TestGguf().Pair("a", 9, TestGguf::Raw(type) + TestGguf::Raw(count)).File();
}

// A pair whose string says that it is so long.
std::string TextOfLength(uint64_t bytes) {
  return TestGguf().Pair("a", 8, TestGguf::Raw(bytes)).File() + std::string(64, 'x');
}

constexpr ErrorCode kIncomplete = ErrorCode::kIncompleteModel;

std::vector<Broken> BrokenHeaders() {
  constexpr ErrorCode kUnsupported = ErrorCode::kUnsupportedFormat;
  return {
      {"empty_file", "", "it is empty", kIncomplete},
      {"four_bytes", "GGUF", "ends at byte 4", kIncomplete},
      {"seven_bytes", std::string("GGUF\3\0\0", 7), "ends at byte 7", kIncomplete},
      {"counts_missing", Header(3, 0, 0).substr(0, 23), "ends at byte 23", kIncomplete},
      {"bad_magic", "FUGG" + Header(3, 0, 0).substr(4), "begin with 'GGUF'"},
      {"zeros", std::string(4096, '\0'), "begin with 'GGUF'"},
      {"version_0", Header(0, 0, 0), "version 0", kUnsupported},
      {"version_1", Header(1, 0, 0), "version 1 (of 2023)", kUnsupported},
      {"version_4", Header(4, 0, 0), "version 4", kUnsupported},
      {"version_far_ahead", Header(77, 0, 0), "update Warmset", kUnsupported},
      {"big_endian_2", Header(0x02000000, 0, 0), "version 2 in big-endian", kUnsupported},
      {"big_endian_3", Header(0x03000000, 0, 0), "gguf-convert-endian", kUnsupported},
      {"ggml", "lmgg" + std::string(100, '\0'), "GGML, a format from before", kUnsupported},
      {"ggjt", "tjgg" + std::string(100, '\0'), "GGJT", kUnsupported},
      {"tensors_negative", Header(3, -1, 0), "-1 tensors"},
      {"pairs_negative", Header(3, 0, -1), "-1 metadata keys"},
      {"tensors_least_number", Header(3, INT64_MIN, 0), "do not fit"},
      {"tensors_huge", Header(3, kMax, 0), "do not fit"},
      {"pairs_huge", Header(3, 0, kMax), "do not fit"},
      {"both_huge", Header(3, 1LL << 60, 1LL << 60) + std::string(10'000, '\0'), "do not fit"},
      {"tensors_one_more", Header(3, 2, 0) + std::string(47, '\0'), "its header of 2 tensors",
       kIncomplete},
  };
}

std::vector<Broken> BrokenMetadata() {
  return {
      {"key_length_negative", TestGguf().RawPair(std::string(8, '\xFF') + "key").File(),
       "metadata key 1 of 1: a string of 18446744073709551615"},
      {"key_beyond_file", TestGguf().RawPair(TestGguf::Raw<uint64_t>(1000) + "key123456").File(),
       "a string of 1000 bytes", kIncomplete},
      {"key_empty", TestGguf().Set("", 1).File(), "it is empty"},
      {"key_of_65536_bytes", TestGguf().Set(std::string(65536, 'k'), 1).File(), "at most 65535"},
      {"key_twice", TestGguf().Set("a", 1).Set("b", 1).Set("a", "x").File(), "'a' is there twice"},
      {"value_type_13", TestGguf().Pair("a", 13, "x").File(), "number 13"},
      {"value_type_negative", TestGguf().Pair("a", UINT32_MAX, "x").File(), "number 4294967295"},
      {"string_length_negative", TextOfLength(UINT64_MAX), "metadata 'a': a string of"},
      {"string_above_limit", TextOfLength((1ULL << 30) + 1), "at most 1073741824"},
      {"string_beyond_file", TextOfLength(1ULL << 30), "a string of 1073741824", kIncomplete},
      {"array_above_limit", ArrayOf(0, (1ULL << 30) + 1), "at most 1073741824"},
      {"array_count_negative", ArrayOf(4, UINT64_MAX), "at most 1073741824"},
      {"array_size_would_wrap", ArrayOf(12, 1ULL << 61), "at most 1073741824"},
      {"array_beyond_file", ArrayOf(4, 1000), "an array of 1000 elements", kIncomplete},
      {"array_of_strings_beyond_file", ArrayOf(8, 1ULL << 30), "an array of 1073741824 elements",
       kIncomplete},
      {"array_in_array", ArrayOf(9, 0), "an array in an array"},
      {"array_of_type_13", ArrayOf(13, 0), "number 13"},
      {"array_element_beyond_file",
       TestGguf()
           .Pair("a", 9,
                 TestGguf::Raw(8) + TestGguf::Raw<uint64_t>(1) + TestGguf::Raw<uint64_t>(99))
           .File(),
       "a string of 99 bytes", kIncomplete},
      {"alignment_0", TestGguf().Set("general.alignment", uint32_t{0}).File(), "0 is no power"},
      {"alignment_13", TestGguf().Set("general.alignment", uint32_t{13}).File(), "13 is no power"},
      {"alignment_i32", TestGguf().Set("general.alignment", int32_t{32}).File(), "has to be a u32"},
      {"alignment_u64", TestGguf().Set("general.alignment", uint64_t{32}).File(), "of type 10"},
      {"alignment_text", TestGguf().Set("general.alignment", "32").File(), "has to be a u32"},
      {"alignment_array",
       TestGguf()
           .Pair("general.alignment", 9,
                 TestGguf::Raw(4) + TestGguf::Raw<uint64_t>(1) + TestGguf::Raw(32))
           .File(),
       "has to be a u32"},
      {"alignment_beyond_file",
       TestGguf().Set("general.alignment", uint32_t{1} << 31).Tensor("a", {1}).File(),
       "of 2147483652 bytes are there", kIncomplete},
  };
}

std::vector<Broken> BrokenTensors() {
  constexpr ErrorCode kUnsupported = ErrorCode::kUnsupportedFormat;
  const auto one = [](std::vector<int64_t> dims, uint32_t type, uint64_t offset = 0) {
    return TestGguf().RawTensor("t", std::move(dims), type, offset).File() + std::string(4096, 'd');
  };
  const auto many_dims = TestGguf().Tensor("t", {1, 1, 1, 1, 1, 1}).File();
  return {
      {"name_of_64_bytes", TestGguf().Tensor(std::string(64, 'n'), {1}).File(), "at most 63"},
      {"name_long_and_short_by_nul",
       TestGguf().Tensor(std::string("a\0", 2) + std::string(62, 'n'), {1}).File(), "at most 63"},
      {"name_not_utf8", TestGguf().Tensor("a\xFF", {1}).File(), "is not UTF-8"},
      {"name_twice", TestGguf().Tensor("a", {1}).Tensor("b", {1}).Tensor("a", {1}).File(),
       "two tensors named 'a'"},
      {"name_twice_by_nul",
       TestGguf().Tensor("a", {1}).Tensor(std::string_view("a\0b", 3), {1}).File(),
       "two tensors named 'a'"},
      {"name_empty_twice", TestGguf().Tensor("", {1}).Tensor("", {1}).File(), "two tensors"},
      {"six_dims", many_dims, "6 dimensions"},
      {"dims_negative_count",
       Header(3, 1, 0) + TestGguf::String("t") + TestGguf::Raw(UINT32_MAX) + std::string(100, '\0'),
       "4294967295 dimensions"},
      {"dim_negative", one({-1}, 0), "dimension 0 is -1"},
      {"dim_negative_beside_zero", one({0, -1}, 0), "dimension 1 is -1"},
      {"dim_least_number", one({4, INT64_MIN}, 0), "dimension 1 is"},
      {"product_2_32_twice", one({1LL << 32, 1LL << 32}, 0), "overflows"},
      {"product_2_31_2_31_4", one({1LL << 31, 1LL << 31, 4}, 0), "overflows"},
      {"product_above_i64", one({1LL << 62, 2}, TestGguf::kI8), "overflows"},
      {"elements_at_limit", one({kMax}, TestGguf::kI8), "overflows"},
      {"bytes_above_u64", one({1LL << 62}, 27), "overflows"},
      {"sizes_sum_above_u64",
       TestGguf()
           .RawTensor("a", {0x7FFFFFFFFFFFFFC0}, TestGguf::kI8, 0)
           .RawTensor("b", {0x7FFFFFFFFFFFFFC0}, TestGguf::kI8, 0x7FFFFFFFFFFFFFC0)
           .RawTensor("c", {0x7FFFFFFFFFFFFFC0}, TestGguf::kI8, 0xFFFFFFFFFFFFFF80)
           .File(),
       "overflow"},
      {"two_halves_of_memory",
       TestGguf()
           .RawTensor("a", {0x7FFFFFFFFFFFFFC0}, TestGguf::kI8, 0)
           .RawTensor("b", {0x7FFFFFFFFFFFFFC0}, TestGguf::kI8, 0x7FFFFFFFFFFFFFC0)
           .File(),
       "more than any model's file has"},
      {"row_no_whole_block", one({31}, TestGguf::kQ4_0), "whole number of Q4_0 blocks"},
      {"row_no_whole_block_but_all", one({16, 2}, TestGguf::kQ4_0), "whole number of Q4_0 blocks"},
      {"scalar_of_blocks", one({}, kQ4_K), "whole number of Q4_K blocks"},
      {"type_negative", one({32}, UINT32_MAX), "number 4294967295"},
      {"type_65536", one({32}, 65536), "number 65536"},
      {"type_43", one({32}, 43), "number 43, which llama.cpp does not have", kUnsupported},
      {"type_of_ik_llama", one({32}, 139), "ik_llama.cpp and other forks", kUnsupported},
      {"type_of_a_fork_399", one({32}, 399), "number 399", kUnsupported},
      {"type_removed_4", one({32}, 4), "Q4_2 (4) was removed", kUnsupported},
      {"type_removed_5", one({32}, 5), "Q4_3 (5)", kUnsupported},
      {"type_removed_31", one({32}, 31), "Q4_0_4_4 (31)", kUnsupported},
      {"type_removed_32", one({32}, 32), "Q4_0_4_8 (32)", kUnsupported},
      {"type_removed_33", one({32}, 33), "Q4_0_8_8 (33)", kUnsupported},
      {"type_removed_36", one({32}, 36), "IQ4_NL_4_4 (36)", kUnsupported},
      {"type_removed_37", one({32}, 37), "IQ4_NL_4_8 (37)", kUnsupported},
      {"type_removed_38", one({32}, 38), "IQ4_NL_8_8 (38)", kUnsupported},
      {"type_removed_and_cut_off",
       TestGguf().RawTensor("a", {32}, 4, 0).RawTensor("b", {64}, 0, 64).File(), "it is cut off",
       kIncomplete},
      {"type_removed_and_bad_dims",
       TestGguf().RawTensor("a", {32}, 4, 0).RawTensor("b", {-1}, 0, 64).File(), "dimension 0"},
      {"type_removed_and_bad_offset",
       TestGguf().RawTensor("a", {32}, 4, 0).RawTensor("b", {1}, 0, 65).File(),
       "a multiple of the alignment"},
      {"first_offset", one({1}, 0, 32), "its offset is 32, and has to be 0"},
      {"offset_negative", one({1}, 0, UINT64_MAX), "its offset is 18446744073709551615"},
      {"offset_of_the_one_before", TestGguf().Tensor("a", {9}).RawTensor("b", {1}, 0, 0).File(),
       "has to be 64"},
      {"offset_without_padding",
       TestGguf().SilentAlignment(1).Tensor("a", {9}).Tensor("b", {1}).File(),
       "its offset is 36, and has to be 64"},
      {"offset_with_a_hole", TestGguf().Tensor("a", {8}).RawTensor("b", {1}, 0, 64).File(),
       "has to be 32"},
      {"cut_off_by_a_byte", CutAtEnd(TestGguf().Tensor("a", {8}).File(), 1),
       "it is cut off: 95 of 96 bytes are there; download it again", kIncomplete},
      {"no_data", CutAtEnd(TestGguf().Tensor("a", {8}).File(), 32), "64 of 96 bytes", kIncomplete},
      {"second_beyond_file", TestGguf().Tensor("a", {8}).RawTensor("b", {1LL << 40}, 0, 32).File(),
       "bytes are there", kIncomplete},
      {"second_beyond_all_disks",
       TestGguf().Tensor("a", {8}).RawTensor("b", {1LL << 50}, 0, 32).File(),
       "more than any model's file has"},
      {"padding_before_data_missing", TestGguf().RawTensor("a", {0}, 0, 0).File().substr(0, 60),
       "60 of 64 bytes", kIncomplete},
  };
}

const auto kName = [](const auto& test) { return std::string(test.param.name); };
INSTANTIATE_TEST_SUITE_P(Header, BrokenGguf, testing::ValuesIn(BrokenHeaders()), kName);
INSTANTIATE_TEST_SUITE_P(Metadata, BrokenGguf, testing::ValuesIn(BrokenMetadata()), kName);
INSTANTIATE_TEST_SUITE_P(Tensors, BrokenGguf, testing::ValuesIn(BrokenTensors()), kName);

TEST(GgufReaderTest, FiveDimensionsAreReadAndLlamaCppIsWarnedOf) {
  const auto parsed =
      Parse(TestGguf().Tensor("patch_embedding.weight", {2, 2, 1, 16, 3}).Tensor("b", {4}).File());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(ShapeOf(parsed->tensors[0]), ElementsAre(3, 16, 1, 2, 2));
  ASSERT_EQ(parsed->findings.size(), 1u);
  EXPECT_EQ(parsed->findings[0].verdict, Verdict::kOk);
  EXPECT_THAT(parsed->findings[0].message, HasSubstr("llama.cpp reads at most 4"));
}

// As ComfyUI-GGUF writes it: an array of i32, outermost first.
std::string OriginalShape(const std::vector<int32_t>& dims) {
  std::string array = TestGguf::Raw<uint32_t>(5) + TestGguf::Raw<uint64_t>(dims.size());
  for (const int32_t dim : dims) array += TestGguf::Raw(dim);
  return array;
}

TEST(GgufReaderTest, OriginalShapesOfComfyUi) {
  const auto shaped = [](const std::vector<int32_t>& dims) {
    return Parse(TestGguf()
                     .Pair("comfy.gguf.orig_shape.conv", 9, OriginalShape(dims))
                     .Tensor("conv", {64, 9}, TestGguf::kQ4_0, 18 * 18)
                     .File());
  };
  const auto parsed = shaped({16, 4, 3, 3});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(ShapeOf(parsed->tensors[0]), ElementsAre(16, 4, 3, 3));
  EXPECT_EQ(parsed->tensors[0].bytes, 18u * 18);
  EXPECT_THAT(parsed->findings, IsEmpty());
  for (const std::vector<int32_t>& wrong :
       {std::vector<int32_t>{16, 4, 3, 4}, {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX}, {}}) {
    const auto kept = shaped(wrong);
    ASSERT_TRUE(kept.ok()) << kept.status();
    EXPECT_THAT(ShapeOf(kept->tensors[0]), ElementsAre(9, 64));
    ASSERT_EQ(kept->findings.size(), 1u);
    EXPECT_THAT(kept->findings[0].message, HasSubstr("another number of elements"));
  }
  EXPECT_EQ(CodeOf(shaped({-16, 4, 3, 3}).status()), ErrorCode::kCorruptedModel);
}

TEST(GgufReaderTest, PartsJoinedByCatAreNamed) {
  const auto part = [](uint16_t number, std::string_view tensor) {
    return TestGguf()
        .Set("split.no", number)
        .Set("split.count", uint16_t{2})
        .Set("split.tensors.count", int32_t{2})
        .Tensor(tensor, {8})
        .File();
  };
  const std::string first = part(0, "a");
  EXPECT_TRUE(Parse(first).ok());
  const Status joined = Parse(first + part(1, "b")).status();
  EXPECT_EQ(CodeOf(joined), ErrorCode::kIncompleteModel);
  EXPECT_EQ(OffsetOf(joined), first.size());
  for (const std::string_view said :
       {"joined byte by byte", "1 tensors are before it, of 2", "llama-gguf-split --merge"}) {
    EXPECT_THAT(std::string(Message(joined)), HasSubstr(std::string(said)));
  }
}

TEST(GgufReaderTest, AnotherWholeFileBehindItIsLeftOut) {
  const std::string file = TestGguf().Tensor("a", {8}).File();
  const auto parsed = Parse(file + file);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(Messages(*parsed), ElementsAre(HasSubstr("another GGUF file follows")));
}

TEST(GgufReaderTest, AFileCutOffAtAnyByteIsIncomplete) {
  const std::string whole = TestGguf()
                                .Set("general.name", "x")
                                .Set("tokens", std::vector<std::string>{"a", "bc"})
                                .Alignment(8)
                                .Tensor("a", {3, 2})
                                .Tensor("b", {32}, TestGguf::kQ4_0, 18)
                                .File();
  ASSERT_TRUE(Parse(whole).ok());
  for (size_t size = 0; size < whole.size() - 6; ++size) {
    const Status status = Parse(whole.substr(0, size)).status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kIncompleteModel) << size << status;
    EXPECT_THAT(std::string(Message(status)), HasSubstr("download it again")) << size;
  }
}

TEST(GgufReaderTest, TensorsBesideOneOfARemovedTypeAreListed) {
  const std::string file = TestGguf()
                               .Tensor("a", {8})
                               .Tensor("old", {64}, 4, 64)
                               .Tensor("b", {4})
                               .Tensor("c", {1})
                               .File();
  MemorySource source(AsBytes(file));
  FilesForTest none;
  FileContents contents;
  const Status status = GgufReader().Read(source, none, contents);
  EXPECT_EQ(CodeOf(status), ErrorCode::kUnsupportedFormat);
  EXPECT_THAT(std::string(Message(status)), StartsWith("tensor 'old': "));
  ASSERT_EQ(contents.tensors.size(), 3u);
  EXPECT_EQ(contents.tensors[1].name, "b");
  EXPECT_EQ(contents.tensors[1].offset, file.size() - 64);
}

TEST(GgufReaderTest, ErrorsSayWhere) {
  const std::string file = TestGguf().Set("a", 1).Set("general.alignment", 7).File();
  EXPECT_EQ(OffsetOf(Parse(file).status()), 24u + 8 + 1 + 4 + 4);
}

TEST(GgufReaderTest, IsRecognisedByItsFirstBytes) {
  const auto match = [](std::string_view name, std::string_view content) {
    return GgufReader().Recognise({name, AsBytes(content), content.size()});
  };
  EXPECT_EQ(match("x.safetensors", "GGUF"), FormatReader::Match::kByContent);
  EXPECT_EQ(match("ggml-model.bin", "tjgg1234"), FormatReader::Match::kByContent);
  EXPECT_EQ(match("x.gguf", ""), FormatReader::Match::kByName);
  EXPECT_EQ(match("x.gguf", "<!DOCTYPE html>"), FormatReader::Match::kByName);
  EXPECT_EQ(match("x.bin", "GGU"), FormatReader::Match::kNo);
}

}  // namespace
}  // namespace warmset

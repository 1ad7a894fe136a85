#include "inspect/safetensors/reader.h"

#include <cstring>

#include "base/digest.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/read_for_test.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// A file with that JSON header and `data_bytes` bytes of data.
std::string File(std::string_view header, uint64_t data_bytes) {
  const uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file.append(header).append(data_bytes, 'd');
}

StatusOr<FileContents> Parse(const std::string& file) {
  return ReadForTest(SafetensorsReader(), file);
}

std::string Info(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return std::string(R"({"dtype":")")
      .append(dtype)
      .append(R"(","shape":)")
      .append(shape)
      .append(R"(,"data_offsets":)")
      .append(offsets)
      .append("}");
}

std::string Tensor(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return R"({"t":)" + Info(dtype, shape, offsets) + "}";
}

std::string Nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

std::string WithField(std::string_view field) {
  return std::string(R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4],)")
      .append(field)
      .append("}}");
}

std::string Ones(size_t rank) {
  std::string shape = "[1";
  for (size_t i = 1; i < rank; ++i) shape += ",1";
  return shape + "]";
}

constexpr std::string_view kMax = "18446744073709551615";

TEST(SafetensorsReaderTest, TensorsComeInTheOrderOfTheFile) {
  std::string header = R"({"__metadata__":{"format":"pt"},"b":)" + Info("F16", "[2]", "[8,12]") +
                       R"(,"a":)" + Info("F32", "[2,1]", "[0,8]") + "}";
  while (header.size() % 8 != 0) header += ' ';
  const auto parsed = Parse(File(header, 12));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const uint64_t begin = 8 + header.size();
  ASSERT_EQ(parsed->tensors.size(), 2u);
  const TensorView a = parsed->tensors[0];
  EXPECT_EQ(a.name, "a");
  EXPECT_EQ(a.dtype, DType::kF32);
  EXPECT_THAT(a.shape, ElementsAre(2, 1));
  EXPECT_EQ(a.offset, begin);
  EXPECT_EQ(a.bytes, 8u);
  EXPECT_EQ(parsed->tensors[1].name, "b");
  EXPECT_EQ(parsed->tensors[1].offset, begin + 8);
  EXPECT_EQ(parsed->metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_TRUE(parsed->findings.empty());
}

struct Accepted {
  std::string_view name;
  std::string header;
  uint64_t data_bytes;
};

class AcceptedHeader : public testing::TestWithParam<Accepted> {};

TEST_P(AcceptedHeader, Parses) {
  const auto parsed = Parse(File(GetParam().header, GetParam().data_bytes));
  EXPECT_TRUE(parsed.ok()) << parsed.status();
}

std::vector<Accepted> AcceptedFiles() {
  return {
      {"no_tensors", "{}", 0},
      {"no_tensors_padded", "{}      ", 0},
      {"leading_space", " \n\t {}", 0},
      {"null_metadata", R"({"__metadata__":null})", 0},
      {"scalar", Tensor("F64", "[]", "[0,8]"), 8},
      {"empty_tensor", Tensor("F32", "[0]", "[0,0]"), 0},
      {"empty_name", R"({"":)" + Info("U8", "[1]", "[0,1]") + "}", 1},
      {"escaped_name", R"({"\u00e9\ud83d\ude00\n":)" + Info("U8", "[1]", "[0,1]") + "}", 1},
      {"zero_before_overflow", Tensor("F32", "[0," + std::string(kMax) + ",3]", "[0,0]"), 0},
      {"huge_before_zero", Tensor("F32", "[" + std::string(kMax) + ",0]", "[0,0]"), 0},
      {"two_f4", Tensor("F4", "[2]", "[0,1]"), 1},
      {"four_f6", Tensor("F6_E2M3", "[4]", "[0,3]"), 3},
      {"four_f6_other", Tensor("F6_E3M2", "[2,2]", "[0,3]"), 3},
      {"fp8", Tensor("F8_E4M3FNUZ", "[3]", "[0,3]"), 3},
      {"complex", Tensor("C64", "[1]", "[0,8]"), 8},
      {"rank_64", Tensor("U8", Ones(64), "[0,1]"), 1},
  };
}

INSTANTIATE_TEST_SUITE_P(, AcceptedHeader, testing::ValuesIn(AcceptedFiles()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(SafetensorsReaderTest, EveryDTypeHasItsSize) {
  struct Case {
    std::string_view dtype;
    uint64_t bits;
  };
  for (const auto& [dtype, bits] :
       {Case{"F4", 4},      Case{"F6_E2M3", 6},     Case{"F6_E3M2", 6},     Case{"BOOL", 8},
        Case{"U8", 8},      Case{"I8", 8},          Case{"F8_E5M2", 8},     Case{"F8_E4M3", 8},
        Case{"F8_E8M0", 8}, Case{"F8_E4M3FNUZ", 8}, Case{"F8_E5M2FNUZ", 8}, Case{"I16", 16},
        Case{"U16", 16},    Case{"F16", 16},        Case{"BF16", 16},       Case{"I32", 32},
        Case{"U32", 32},    Case{"F32", 32},        Case{"C64", 64},        Case{"F64", 64},
        Case{"I64", 64},    Case{"U64", 64}}) {
    const std::string offsets = "[0," + std::to_string(bits) + "]";  // 8 elements
    const auto parsed = Parse(File(Tensor(dtype, "[8]", offsets), bits));
    EXPECT_TRUE(parsed.ok()) << dtype << ": " << parsed.status();
  }
}

TEST(SafetensorsReaderTest, UnknownFieldsAreAWarning) {
  for (const std::string_view field :
       {R"("x":1)", R"("x":-0)", R"("x":123456789012345678901234567890)", R"("x":{"a":[null]})",
        R"("x":[true,false,"s",1.5e3])", R"("Dtype":"F32")"}) {
    const auto parsed = Parse(File(WithField(field), 4));
    ASSERT_TRUE(parsed.ok()) << field << parsed.status();
    ASSERT_EQ(parsed->findings.size(), 1u) << field;
    EXPECT_THAT(parsed->findings[0].message, HasSubstr("unknown field"));
  }
  EXPECT_TRUE(Parse(File(WithField(R"("x":)" + Nested(126)), 4)).ok());
}

struct Broken {
  std::string_view name;
  std::string file;
  std::string_view message;
  ErrorCode code = ErrorCode::kCorruptedModel;
};

class BrokenFile : public testing::TestWithParam<Broken> {};

TEST_P(BrokenFile, IsRefusedWithItsReason) {
  const Status status = Parse(GetParam().file).status();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(CodeOf(status), GetParam().code);
  EXPECT_THAT(std::string(Message(status)), HasSubstr(std::string(GetParam().message)));
}

constexpr ErrorCode kIncomplete = ErrorCode::kIncompleteModel;

std::vector<Broken> BrokenFiles() {
  return {
      {"empty_file", "", "it is empty", kIncomplete},
      {"seven_bytes", std::string("\2\0\0\0\0\0\0", 7), "ends at byte 7", kIncomplete},
      {"zeros", std::string(4096, '\0'), "begin with '{'"},
      {"length_only", std::string("\2\0\0\0\0\0\0\0", 8), "cut off", kIncomplete},
      {"length_and_no_json", std::string("\2\1\0\0\0\0\0\0xyz", 11), "begin with '{'"},
      {"empty_header", File("", 0), "begin with '{'"},
      {"length_above_limit", std::string("\1\xe1\xf5\5\0\0\0\0", 8) + "{}", "100000000"},
      {"length_at_limit", std::string("\0\xe1\xf5\5\0\0\0\0", 8) + "{}",
       "its header, which ends at 100000008", kIncomplete},
      {"huge_length", std::string(8, '\xff') + "{}", "at most"},
      {"byte_order_mark", File("\xef\xbb\xbf{}", 0), "begin with '{'"},
      {"array", File("[]", 0), "begin with '{'"},
      {"trailing_nul", File(std::string("{}\0", 3), 0), "header"},
      {"trailing_value", File("{}{}", 0), "header"},
      {"trailing_comma", File("{} ,", 0), "header"},
      {"extra_brace", File("{}}", 0), "header"},
      {"trailing_text", File("{} x", 0), "header"},
      {"unclosed", File(R"({"t":)", 0), "header"},
      {"unclosed_info", File(R"({"t":{"dtype":"U8")", 0), "header"},
      {"comma_before_end", File(R"({"__metadata__":{},})", 0), "header"},
      {"comment", File("{}/**/", 0), "header"},
      {"single_quotes", File("{'t':1}", 0), "header"},
      {"not_utf8", File("{\"\xff\":1}", 0), "UTF-8"},
      {"control_character", File("{\"a\nb\":1}", 0), "control character"},
      {"lone_high_surrogate", File(R"({"\ud800":)" + Info("U8", "[1]", "[0,1]") + "}", 1),
       "header"},
      {"lone_low_surrogate", File(R"({"\udc00":)" + Info("U8", "[1]", "[0,1]") + "}", 1), "header"},
      {"lone_surrogate_in_metadata", File(R"({"__metadata__":{"a":"\udfff"}})", 0), "metadata 'a'"},
      {"lone_surrogate_in_unknown", File(WithField(R"("x":"\ud800")"), 4), "escape"},
      {"wrong_escape", File(R"({"\x":1})", 0), "escape"},
      {"duplicate_tensor",
       File(R"({"t":)" + Info("U8", "[1]", "[0,1]") + R"(,"t":)" + Info("U8", "[1]", "[1,2]") + "}",
            2),
       "two tensors named 't'"},
      {"duplicate_by_escape",
       File(R"({"t":)" + Info("U8", "[1]", "[0,1]") + R"(,"\u0074":)" + Info("U8", "[1]", "[1,2]") +
                "}",
            2),
       "two tensors named 't'"},
      {"duplicate_metadata", File(R"({"__metadata__":{},"__metadata__":{}})", 0),
       "two __metadata__"},
      {"duplicate_metadata_key", File(R"({"__metadata__":{"a":"1","a":"2"}})", 0),
       "two metadata values"},
      {"metadata_number", File(R"({"__metadata__":{"a":1}})", 0), "metadata 'a'"},
      {"metadata_null", File(R"({"__metadata__":{"a":null}})", 0), "metadata 'a'"},
      {"metadata_list", File(R"({"__metadata__":[]})", 0), "wrong type"},
      {"duplicate_dtype", File(WithField(R"("dtype":"U8")"), 4), "two dtype"},
      {"duplicate_shape", File(WithField(R"("shape":[4])"), 4), "two shape"},
      {"duplicate_offsets", File(WithField(R"("data_offsets":[0,4])"), 4), "two data_offsets"},
      {"no_dtype", File(R"({"t":{"shape":[],"data_offsets":[0,0]}})", 0), "no dtype"},
      {"no_shape", File(R"({"t":{"dtype":"U8","data_offsets":[0,0]}})", 0), "no shape"},
      {"no_offsets", File(R"({"t":{"dtype":"U8","shape":[]}})", 0), "no data_offsets"},
      {"info_is_a_list", File(R"({"t":["U8",[1],[0,1]]})", 1), "wrong type"},
      {"info_is_null", File(R"({"t":null})", 0), "wrong type"},
      {"unknown_dtype", File(Tensor("F128", "[1]", "[0,16]"), 16), "no dtype 'F128'",
       ErrorCode::kUnsupportedFormat},
      {"lower_case_dtype", File(Tensor("f32", "[1]", "[0,4]"), 4), "'f32'",
       ErrorCode::kUnsupportedFormat},
      {"empty_dtype", File(Tensor("", "[1]", "[0,4]"), 4), "(empty)",
       ErrorCode::kUnsupportedFormat},
      {"unknown_dtype_twice", File(WithField(R"("dtype":"F128")"), 4), "two dtype"},
      {"unknown_dtype_and_a_hole", File(Tensor("F128", "[1]", "[1,4]"), 4), "leaves a hole"},
      {"unknown_dtype_and_cut_off", File(Tensor("F128", "[1]", "[0,16]"), 4), "it is cut off",
       kIncomplete},
      {"float_dim", File(Tensor("U8", "[2.0]", "[0,2]"), 2), "header"},
      {"exponent_dim", File(Tensor("U8", "[2e0]", "[0,2]"), 2), "header"},
      {"minus_zero_dim", File(Tensor("U8", "[-0]", "[0,0]"), 0), "header"},
      {"negative_dim", File(Tensor("U8", "[-1]", "[0,1]"), 1), "header"},
      {"leading_zero_dim", File(Tensor("U8", "[01]", "[0,1]"), 1), "header"},
      {"plus_dim", File(Tensor("U8", "[+1]", "[0,1]"), 1), "header"},
      {"dim_above_u64", File(Tensor("U8", "[18446744073709551616]", "[0,1]"), 1), "header"},
      {"dim_is_text", File(Tensor("U8", R"(["1"])", "[0,1]"), 1), "header"},
      {"minus_zero_offset", File(Tensor("U8", "[1]", "[-0,1]"), 1), "header"},
      {"one_offset", File(Tensor("U8", "[0]", "[0]"), 0), "fewer"},
      {"three_offsets", File(Tensor("U8", "[1]", "[0,1,2]"), 1), "more"},
      {"offsets_reversed", File(Tensor("U8", "[1]", "[1,0]"), 1), "no place in a file"},
      {"offsets_beyond_file", File(Tensor("U8", "[2]", "[0,2]"), 1), "it is cut off", kIncomplete},
      {"offsets_beyond_all_disks",
       File(Tensor("U8", "[1125899906842624]", "[0,1125899906842624]"), 1),
       "more than any model's file has"},
      {"offset_overflow", File(Tensor("U8", "[1]", "[0," + std::string(kMax) + "]"), 1),
       "no place in a file"},
      {"size_differs", File(Tensor("F32", "[2]", "[0,4]"), 4), "make 8 bytes"},
      {"scalar_size_differs", File(Tensor("F32", "[]", "[0,8]"), 8), "make 4 bytes"},
      {"product_overflows_before_zero",
       File(Tensor("F32", "[" + std::string(kMax) + "," + std::string(kMax) + ",0]", "[0,0]"), 0),
       "overflows"},
      {"bits_overflow", File(Tensor("F32", "[" + std::string(kMax) + "]", "[0,0]"), 0),
       "overflows"},
      {"half_a_byte", File(Tensor("F4", "[3]", "[0,1]"), 1), "whole number of bytes"},
      {"f6_not_whole", File(Tensor("F6_E2M3", "[2]", "[0,1]"), 1), "whole number of bytes"},
      {"hole_at_start", File(Tensor("U8", "[1]", "[1,2]"), 2), "begins at 1"},
      {"hole",
       File(R"({"a":)" + Info("U8", "[1]", "[0,1]") + R"(,"b":)" + Info("U8", "[1]", "[2,3]") + "}",
            3),
       "begins at 2"},
      {"overlap",
       File(R"({"a":)" + Info("U8", "[2]", "[0,2]") + R"(,"b":)" + Info("U8", "[2]", "[1,3]") + "}",
            3),
       "begins at 1"},
      {"polyglot_tail", File(Tensor("U8", "[1]", "[0,1]"), 2), "1 bytes follow the last tensor"},
      {"data_without_tensors", File("{}", 1), "1 bytes follow its header"},
      {"nested_too_deep", File(WithField(R"("x":)" + Nested(127)), 4), "nested too deep"},
      {"nested_far_too_deep", File(WithField(R"("x":)" + Nested(100'000)), 4), "header"},
      {"unbalanced_unknown", File(WithField(R"("x":[})"), 4), "header"},
      {"wrong_atom_in_unknown", File(WithField(R"("x":nul)"), 4), "header"},
      {"wrong_number_in_unknown", File(WithField(R"("x":1.)"), 4), "header"},
      {"rank_65", File(Tensor("U8", Ones(65), "[0,1]"), 1), "at most 64",
       ErrorCode::kUnsupportedFormat},
  };
}

INSTANTIATE_TEST_SUITE_P(, BrokenFile, testing::ValuesIn(BrokenFiles()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(SafetensorsReaderTest, AFileCutOffAtAnyByteIsIncomplete) {
  const std::string whole =
      File(R"({"__metadata__":{"k":"v"},"a":)" + Info("F32", "[2,1]", "[0,8]") + R"(,"b":)" +
               Info("U8", "[3]", "[8,11]") + "}  ",
           11);
  ASSERT_TRUE(Parse(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    const Status status = Parse(whole.substr(0, size)).status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kIncompleteModel) << size << status;
    EXPECT_THAT(std::string(Message(status)), HasSubstr("download it again")) << size;
  }
}

// What a reader leaves behind in spite of its error.
FileContents ContentsOfBroken(const std::string& file) {
  MemorySource source(AsBytes(file));
  FilesForTest none;
  FileContents contents;
  EXPECT_FALSE(SafetensorsReader().Read(source, none, contents).ok());
  return contents;
}

TEST(SafetensorsReaderTest, TrailingBytesLeaveTheTensorsWhole) {
  const std::string file = File(Tensor("U8", "[4]", "[0,4]"), 4);
  const FileContents trailing = ContentsOfBroken(file + "abc");
  EXPECT_TRUE(trailing.tensors_are_whole);
  EXPECT_EQ(trailing.tensors.size(), 1u);
  const FileContents cut = ContentsOfBroken(file.substr(0, file.size() - 1));
  EXPECT_FALSE(cut.tensors_are_whole);
  EXPECT_TRUE(cut.tensors.empty());
}

TEST(SafetensorsReaderTest, TensorsBesideOneOfAnUnknownDTypeAreListed) {
  const FileContents contents = ContentsOfBroken(
      File(R"({"a":)" + Info("U8", "[2]", "[0,2]") + R"(,"new":)" +
               Info("F8_E3M4", "[3]", "[2,5]") + R"(,"b":)" + Info("U8", "[1]", "[5,6]") + "}",
           6));
  ASSERT_EQ(contents.tensors.size(), 2u);
  EXPECT_EQ(contents.tensors[1].name, "b");
}

TEST(SafetensorsReaderTest, TheLayoutOfBefore031IsAWarningOfTheFormatVersion) {
  const std::string f32 = Tensor("F32", "[1]", "[0,4]");
  const std::string u8 = Tensor("U8", "[4]", "[0,4]");
  const auto findings = [](std::string header, size_t remainder) {
    while (header.size() % 8 != remainder) header += ' ';
    const auto parsed = Parse(File(header, 4));
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return parsed->findings;
  };
  EXPECT_TRUE(findings(f32, 0).empty());
  EXPECT_TRUE(findings(f32, 4).empty());  // no tensor of it is out of place
  EXPECT_TRUE(findings(u8, 3).empty());
  const auto old = findings(f32, 3);
  ASSERT_EQ(old.size(), 1u);
  EXPECT_EQ(old[0].verdict, Verdict::kOk);
  EXPECT_EQ(old[0].category, FindingCategory::kFormatVersion);
  EXPECT_THAT(old[0].message, HasSubstr("safetensors before 0.3.1"));
  EXPECT_THAT(old[0].message, HasSubstr("save it again"));
}

TEST(SafetensorsReaderTest, ErrorsNameTheTensor) {
  const Status status = Parse(File(Tensor("F32", "[2]", "[0,4]"), 4)).status();
  EXPECT_THAT(std::string(Message(status)), StartsWith("tensor 't': "));
}

TEST(SafetensorsReaderTest, ALargeHeader) {
  std::string header = "{";
  uint64_t offset = 0;
  for (int i = 0; i < 5000; ++i) {
    header += fmt::format(R"({}"layer.{}.weight":)", i == 0 ? "" : ",", i) +
              Info("F32", "[2]", fmt::format("[{},{}]", offset, offset + 8));
    offset += 8;
  }
  header += "}";
  ASSERT_GT(header.size(), 128 * 1024u);
  const auto parsed = Parse(File(header, offset));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->tensors.size(), 5000u);
  EXPECT_EQ(parsed->tensors[4999].name, "layer.4999.weight");
}

}  // namespace
}  // namespace warmset

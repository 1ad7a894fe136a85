#include "inspect/gguf/split.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/gguf/reader.h"
#include "inspect/gguf/test_gguf.h"
#include "inspect/read_for_test.h"

namespace warmset {
namespace {

using testing::HasSubstr;

TEST(GgufSplitTest, NamesOfParts) {
  EXPECT_EQ(ParseGgufPartName("a-b-00002-of-00013.gguf"), (GgufPartName{"a-b", 2, 13}));
  EXPECT_EQ(FormatGgufPartName({"a-b", 2, 13}), "a-b-00002-of-00013.gguf");
  for (const char* other :
       {"a.gguf", "-00001-of-00002.gguf", "a-00000-of-00002.gguf", "a-00003-of-00002.gguf",
        "a-00001-of-00000.gguf", "a-1-of-2.gguf", "a-0001-of-00002.gguf", "a00001-of-00002.gguf",
        "a-00001_of_00002.gguf", "a-00001-of-00002.safetensors", "a-+0001-of-00002.gguf",
        "a--0001-of-00002.gguf", "a-00001-of-0000x.gguf", ""}) {
    EXPECT_EQ(ParseGgufPartName(other), std::nullopt) << other;
  }
}

FileContents Contents(TestGguf file) {
  auto contents = ReadForTest(GgufReader(), file.File());
  EXPECT_TRUE(contents.ok()) << contents.status();
  return *std::move(contents);
}

TestGguf Part(uint16_t number, uint16_t count, int32_t tensors) {
  return TestGguf()
      .Set("split.no", number)
      .Set("split.count", count)
      .Set("split.tensors.count", tensors);
}

Status Check(const std::vector<TestGguf>& files) {
  std::vector<FileContents> contents;
  for (const TestGguf& file : files) contents.push_back(Contents(file));
  std::vector<const FileContents*> parts;
  for (const FileContents& part : contents) parts.push_back(&part);
  return CheckGgufParts(parts);
}

TEST(GgufSplitTest, PartsThatFit) {
  EXPECT_TRUE(Check({Part(0, 2, 2).Tensor("a", {1}), Part(1, 2, 2).Tensor("b", {1})}).ok());
  // The first may have metadata only; only the first counts the tensors.
  EXPECT_TRUE(Check({Part(0, 2, 1), Part(1, 2, 9).Tensor("b", {1})}).ok());
}

TEST(GgufSplitTest, PartsThatDoNotFit) {
  struct Case {
    std::vector<TestGguf> files;
    std::string message;
  };
  for (const auto& [files, message] : std::vector<Case>{
           {{Part(0, 2, 2).Tensor("a", {1}), Part(0, 2, 2).Tensor("b", {1})}, "split.no is 0"},
           {{Part(0, 3, 2).Tensor("a", {1}), Part(1, 3, 2).Tensor("b", {1})}, "split.count is 3"},
           {{Part(0, 2, 2), TestGguf().Tensor("b", {1})}, "split.no is missing"},
           {{Part(0, 2, 3).Tensor("a", {1}), Part(1, 2, 3).Tensor("b", {1})}, "2 tensors together"},
           {{Part(0, 2, -1), Part(1, 2, 2).Set("x", 1)}, "0 tensors together"},
           {{Part(0, 2, 2).Tensor("a", {1}), Part(1, 2, 2).Tensor("a", {1})}, "named 'a'"}}) {
    const Status status = Check(files);
    EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptedModel) << message;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(message));
  }
}

TEST(GgufSplitTest, APartLooksForTheOthers) {
  const FileContents second = Contents(Part(1, 3, 3).Tensor("b", {1}));
  EXPECT_EQ(GgufPartCount(second), 3u);
  FilesForTest all({{"m-00001-of-00003.gguf", ""}, {"m-00003-of-00003.gguf", ""}});
  EXPECT_TRUE(FindOtherGgufParts("m-00002-of-00003.gguf", second, all).ok());

  FilesForTest one(std::map<std::string, std::string>{{"m-00001-of-00003.gguf", ""}});
  const Status missing = FindOtherGgufParts("m-00002-of-00003.gguf", second, one);
  EXPECT_EQ(CodeOf(missing), ErrorCode::kIncompleteModel);
  EXPECT_THAT(std::string(Message(missing)), HasSubstr("m-00003-of-00003.gguf"));
  EXPECT_EQ(CodeOf(FindOtherGgufParts("renamed.gguf", second, all)), ErrorCode::kIncompleteModel);
  EXPECT_EQ(CodeOf(FindOtherGgufParts("m-00003-of-00003.gguf", second, all)),
            ErrorCode::kCorruptedModel);
}

TEST(GgufSplitTest, WholeFiles) {
  EXPECT_EQ(GgufPartCount(Contents(TestGguf())), 1u);
  EXPECT_EQ(GgufPartCount(Contents(Part(0, 0, 0))), 1u);
  EXPECT_EQ(GgufPartCount(Contents(Part(0, 1, 0))), 1u);
}

}  // namespace
}  // namespace warmset

#include "isolate/messages.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset::border {
namespace {

using testing::HasSubstr;

TEST(BorderMessagesTest, ComeBackAsTheyWere) {
  EXPECT_EQ(*DecodeReadiness(Encode(ReadinessOf(7))), ReadinessOf(7));
  const OpenRequest open = {.other = true, .path = "a/b.onnx_data"};
  EXPECT_EQ(*DecodeOpenRequest(Encode(open)), open);
  const std::vector<std::string> names = {"1.safetensors", "", "2.safetensors"};
  EXPECT_EQ(*DecodeNames(Encode(names)), names);
  const ModelFiles model = {.layout = ModelLayout::kDiffusers,
                            .files = {{"a", {1, 2, 3, -4, 5}, "sha256:x"}, {"b", {}, ""}},
                            .folder_kind = "loras"};
  const auto decoded = DecodeModelFiles(Encode(model));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->layout, model.layout);
  EXPECT_EQ(decoded->folder_kind, "loras");
  ASSERT_EQ(decoded->files.size(), 2u);
  EXPECT_EQ(decoded->files[0].identity, model.files[0].identity);
  EXPECT_EQ(decoded->files[0].claimed_hash, "sha256:x");
  EXPECT_EQ(decoded->files[1].path, "b");
}

TEST(BorderMessagesTest, TreesComeBackAndLiesAboutPathsAreRefused) {
  const HubTree tree{{{"a/b.gguf", 5, "sha256:" + std::string(64, 'a')}, {"c", 6, ""}}};
  EXPECT_EQ(DecodeHubTree(Encode(tree))->files, tree.files);
  for (const HubTree& lie : {HubTree{{{"../x", 1, ""}}}, HubTree{{{"b", 1, ""}, {"a", 1, ""}}},
                             HubTree{{{"a", 1, "sha256:../x"}}}}) {
    EXPECT_EQ(CodeOf(DecodeHubTree(Encode(lie)).status()), ErrorCode::kCorruptedModel);
  }
  EXPECT_FALSE(DecodeHubTree("\xff\xff\xff\xff").ok());
}

TEST(BorderMessagesTest, ErrorsKeepCodeMessageAndOffset) {
  const Status error = AtOffset(Error(ErrorCode::kUnsafeModel, "it leads out"), 12);
  const Status decoded = DecodeError(Encode(error));
  EXPECT_EQ(CodeOf(decoded), ErrorCode::kUnsafeModel);
  EXPECT_EQ(Message(decoded), "it leads out");
  EXPECT_EQ(OffsetOf(decoded), 12u);
  EXPECT_EQ(OffsetOf(DecodeError(Encode(Error(ErrorCode::kIoError, "x")))), std::nullopt);
}

TEST(BorderMessagesTest, WhateverIsCutOffOrLongerIsRefused) {
  const std::string whole[] = {Encode(ReadinessOf(7)), Encode(OpenRequest{.path = "a"}),
                               Encode(std::vector<std::string>{"a", "b"}),
                               Encode(ModelFiles{.files = {{"a", {}, ""}}})};
  const auto decode = [](size_t kind, std::string_view payload) {
    switch (kind) {
      case 0:
        return DecodeReadiness(payload).status();
      case 1:
        return DecodeOpenRequest(payload).status();
      case 2:
        return DecodeNames(payload).status();
      default:
        return DecodeModelFiles(payload).status();
    }
  };
  for (size_t kind = 0; kind < 4; ++kind) {
    for (size_t size = 0; size < whole[kind].size(); ++size) {
      EXPECT_EQ(CodeOf(decode(kind, whole[kind].substr(0, size))), ErrorCode::kCorruptedModel)
          << kind << " cut at " << size;
    }
    EXPECT_EQ(CodeOf(decode(kind, whole[kind] + "x")), ErrorCode::kCorruptedModel) << kind;
  }
  EXPECT_THAT(Message(DecodeError("")), HasSubstr("can't be read"));
}

TEST(BorderMessagesTest, CountsAreNotTrustedWithMemory) {
  EXPECT_FALSE(DecodeNames("\xff\xff\xff\xff").ok());
  EXPECT_FALSE(DecodeModelFiles(std::string("\0\0\0\0\0\xff\xff\xff\xff", 9)).ok());
}

}  // namespace
}  // namespace warmset::border

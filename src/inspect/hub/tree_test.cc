#include "inspect/hub/tree.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::Field;

const std::string kSha256(64, 'a');
const std::string kSha1(40, 'b');

std::string Tree(const std::string& files, const std::string& version = "1") {
  return R"({"format_version":)" + version + R"(,"files":{)" + files + "}}";
}

TEST(HubTreeTest, SizesAndHashesByPath) {
  const auto tree = ParseHubTree(
      Tree(R"("unet/model.safetensors":{"size":130,"blob_id":")" + kSha1 + R"(","lfs_sha256":")" +
           kSha256 + R"(","lfs_size":7000,"xet_hash":")" + std::string(64, 'c') +
           R"("},"config.json":{"size":5,"blob_id":")" + kSha1 + R"("})"));
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_THAT(tree->files,
              ElementsAre(HubFile{"config.json", 5, "git-sha1:" + kSha1},
                          HubFile{"unet/model.safetensors", 7000, "sha256:" + kSha256}));
  EXPECT_EQ(tree->Find("config.json")->size, 5u);
  EXPECT_EQ(tree->Find("config"), nullptr);
  EXPECT_EQ(tree->FindBlob(kSha256)->path, "unet/model.safetensors");
  EXPECT_EQ(tree->FindBlob(std::string(64, 'c')), nullptr);  // that is no SHA-256
  EXPECT_EQ(tree->FindBlob(""), nullptr);
}

TEST(HubTreeTest, PathsThatLeadOutAreLeftOut) {
  const auto tree = ParseHubTree(
      Tree(R"("../x":{"size":1},"/etc/x":{"size":1},"a//b":{"size":1},"a/./b":{"size":1},)"
           R"("a\nb":{"size":1},"":{"size":1},"a/..b/c":{"size":1})"));
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_THAT(tree->files, ElementsAre(Field(&HubFile::path, "a/..b/c")));
}

TEST(HubTreeTest, AHashThatIsNoneIsNoClaim) {
  const auto tree = ParseHubTree(Tree(R"("a":{"size":1,"blob_id":"../x","lfs_sha256":"ABC"})"));
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(tree->files[0].claimed_hash, "");
}

TEST(HubTreeTest, BrokenOnesAreRefused) {
  for (const std::string& json :
       {std::string(), std::string("{"), std::string("[]"), std::string(R"({"files":{}})"),
        std::string(R"({"format_version":1,"files":[]})"), Tree(R"("a":3)"), Tree(R"("a":{})"),
        Tree(R"("a":{"size":-1})"), Tree(R"("a":{"size":1.5})"),
        Tree(R"("a":{"size":1},"a":{"size":2})")}) {
    EXPECT_EQ(CodeOf(ParseHubTree(json).status()), ErrorCode::kCorruptedModel) << json;
  }
  EXPECT_EQ(CodeOf(ParseHubTree(Tree("", "2")).status()), ErrorCode::kUnsupportedFormat);
}

}  // namespace
}  // namespace warmset

#include "cache/claim/content_hasher.h"

#include "base/digest.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

std::string HashOf(std::string_view claim, std::string_view content) {
  auto hasher = ContentHasher::Create(claim, content.size());
  EXPECT_TRUE(hasher.ok()) << hasher.status();
  const size_t half = content.size() / 2;
  hasher->Update(AsBytes(content.substr(0, half)));
  hasher->Update(AsBytes(content.substr(half)));
  return hasher->Finish();
}

const std::string kSha256 = "sha256:" + std::string(64, '0');
const std::string kGitSha1 = "git-sha1:" + std::string(40, '0');

// As `sha256sum` and `git hash-object` print them.
TEST(ContentHasherTest, HashesAsTheStoresDo) {
  EXPECT_EQ(HashOf(kSha256, "hello\n"),
            "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  EXPECT_EQ(HashOf(kSha256, ""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(HashOf(kGitSha1, "hello\n"), "git-sha1:ce013625030ba8dba906f756967f9e9ca394464a");
  EXPECT_EQ(HashOf(kGitSha1, ""), "git-sha1:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

TEST(ContentHasherTest, RefusesWhatIsNoHash) {
  for (const std::string& claim :
       {std::string(), std::string("sha256:"), "sha256:" + std::string(63, '0'),
        "sha256:" + std::string(64, 'G'), "git-sha1:" + std::string(64, '0'),
        "md5:" + std::string(32, '0'), std::string(64, '0')}) {
    EXPECT_FALSE(IsCheckableClaim(claim)) << claim;
    EXPECT_EQ(CodeOf(ContentHasher::Create(claim, 1).status()), ErrorCode::kInvalidRequest);
  }
}

}  // namespace
}  // namespace warmset

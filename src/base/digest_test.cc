#include "base/digest.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(DigestTest, HexRoundTrip) {
  const auto digest = DigestOf<ChunkDigest>(AsBytes("warm"));
  const auto parsed = ChunkDigest::FromHex(digest.Hex());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, digest);
}

TEST(DigestTest, EmptyInputMatchesTheSpecification) {
  // XXH3-128 of no bytes with seed 0, from the xxHash specification.
  EXPECT_EQ(DigestOf<ChunkDigest>({}).Hex(), "99aa06d3014798d86001c324468d497f");
}

TEST(DigestTest, RejectsWhatIsNotHex) {
  EXPECT_FALSE(ModelId::FromHex("../../etc/passwd").ok());
  EXPECT_FALSE(ModelId::FromHex(std::string(31, 'a')).ok());
  EXPECT_FALSE(ModelId::FromHex(std::string(32, 'g')).ok());
  EXPECT_FALSE(ModelId::FromBytes(AsBytes("short")).ok());
}

TEST(DigestTest, OrderOfChunksMatters) {
  const ChunkDigest a = DigestOf<ChunkDigest>(AsBytes("a"));
  const ChunkDigest b = DigestOf<ChunkDigest>(AsBytes("b"));
  EXPECT_NE(CombineDigests(std::array{a, b}), CombineDigests(std::array{b, a}));
}

}  // namespace
}  // namespace warmset

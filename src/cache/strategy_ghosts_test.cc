#include "cache/strategy_ghosts.h"

#include <random>

#include "gtest/gtest.h"

namespace warmset {
namespace {

constexpr uint64_t kCapacity = 10'000;

CachedObject Component(int number) {
  return {.id = DigestOf<ComponentId>(AsBytes(std::to_string(number))),
          .bytes = 1'000,
          .load_seconds = 1};
}

StrategyGhosts::Compressed ToTwoThirds(double decode_seconds = 0.05, double encode_seconds = 0.1) {
  return {.bytes = 667, .encode_seconds = encode_seconds, .decode_seconds = decode_seconds};
}

// Requests for so many components in turn.
bool PaysFor(int components, const StrategyGhosts::Compressed& compressed) {
  StrategyGhosts ghosts(kCapacity);
  for (int i = 0; i < 2'000; ++i) ghosts.Request(Component(i % components), compressed);
  return ghosts.CompressingPays();
}

TEST(StrategyGhosts, CompressingPaysWhereMoreFits) { EXPECT_TRUE(PaysFor(14, ToTwoThirds())); }

TEST(StrategyGhosts, CompressingDoesNotPayWhereAllFitsRaw) {
  EXPECT_FALSE(PaysFor(9, ToTwoThirds()));
}

TEST(StrategyGhosts, CompressingDoesNotPayWhereDecodingIsAsSlowAsLoading) {
  EXPECT_FALSE(PaysFor(14, ToTwoThirds(1)));
}

// Of twenty that come by chance about half are found raw, and fourteen compressed.
TEST(StrategyGhosts, CompressingThatTakesLongerThanItSavesDoesNotPay) {
  for (const double encode_seconds : {0.1, 2.0}) {
    std::mt19937 random(1);
    StrategyGhosts ghosts(kCapacity);
    for (int i = 0; i < 2'000; ++i) {
      ghosts.Request(Component(static_cast<int>(random() % 20)), ToTwoThirds(0.05, encode_seconds));
    }
    EXPECT_EQ(ghosts.CompressingPays(), encode_seconds == 0.1);
  }
}

TEST(StrategyGhosts, FollowsAChange) {
  StrategyGhosts ghosts(kCapacity);
  for (int i = 0; i < 2'000; ++i) ghosts.Request(Component(i % 9), ToTwoThirds());
  EXPECT_FALSE(ghosts.CompressingPays());
  for (int i = 0; i < 2'000; ++i) ghosts.Request(Component(i % 14), ToTwoThirds());
  EXPECT_TRUE(ghosts.CompressingPays());
}

}  // namespace
}  // namespace warmset

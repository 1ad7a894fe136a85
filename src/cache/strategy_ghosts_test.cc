#include "cache/strategy_ghosts.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

constexpr uint64_t kCapacity = 10'000;

CachedObject Component(int number) {
  return {.id = DigestOf<ComponentId>(AsBytes(std::to_string(number))),
          .bytes = 1'000,
          .load_seconds = 1};
}

// Requests for so many components in turn, each of which compresses to two thirds.
bool PaysFor(int components, double decode_seconds) {
  StrategyGhosts ghosts(kCapacity);
  for (int i = 0; i < 2'000; ++i) ghosts.Request(Component(i % components), 667, decode_seconds);
  return ghosts.CompressingPays();
}

TEST(StrategyGhosts, CompressingPaysWhereMoreFits) { EXPECT_TRUE(PaysFor(14, 0.05)); }

TEST(StrategyGhosts, CompressingDoesNotPayWhereAllFitsRaw) { EXPECT_FALSE(PaysFor(9, 0.05)); }

TEST(StrategyGhosts, CompressingDoesNotPayWhereDecodingIsAsSlowAsLoading) {
  EXPECT_FALSE(PaysFor(14, 1));
}

TEST(StrategyGhosts, FollowsAChange) {
  StrategyGhosts ghosts(kCapacity);
  for (int i = 0; i < 2'000; ++i) ghosts.Request(Component(i % 9), 667, 0.05);
  EXPECT_FALSE(ghosts.CompressingPays());
  for (int i = 0; i < 2'000; ++i) ghosts.Request(Component(i % 14), 667, 0.05);
  EXPECT_TRUE(ghosts.CompressingPays());
}

}  // namespace
}  // namespace warmset

#include "cache/strategy_ghosts.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace warmset {
namespace {

constexpr uint64_t kCapacity = 10'000;

ComponentId Id(int number) { return DigestOf<ComponentId>(AsBytes(std::to_string(number))); }

FormCosts ToTwoThirds(double decode_seconds = 0.05, double encode_seconds = 0.1) {
  return {.raw_bytes = 1'000,
          .compressed_bytes = 667,
          .load_seconds = 1,
          .decode_seconds = decode_seconds,
          .encode_seconds = encode_seconds};
}

void RequestInTurn(StrategyGhosts& ghosts, int components, const FormCosts& costs) {
  for (int i = 0; i < 2'000; ++i) ghosts.Request(Id(i % components), costs);
}

// Requests for so many components in turn.
bool PaysFor(int components, const FormCosts& costs) {
  StrategyGhosts ghosts(kCapacity);
  RequestInTurn(ghosts, components, costs);
  return ghosts.CompressingPays();
}

TEST(StrategyGhosts, CompressingPaysWhereMoreFits) { EXPECT_TRUE(PaysFor(14, ToTwoThirds())); }

TEST(StrategyGhosts, CompressingDoesNotPayWhereAllFitsRaw) {
  EXPECT_FALSE(PaysFor(9, ToTwoThirds()));
}

TEST(StrategyGhosts, NothingIsCompressedWhereDecodingIsAsSlowAsLoading) {
  StrategyGhosts ghosts(kCapacity);
  RequestInTurn(ghosts, 14, ToTwoThirds(1));
  for (int i = 0; i < 14; ++i) EXPECT_EQ(ghosts.StrategyFor(Id(i)), CacheStrategy::kSpeed);
}

// Of twenty that come by chance about half are found raw, and fourteen compressed.
TEST(StrategyGhosts, NothingIsCompressedThatTakesLongerThanItSaves) {
  for (const double encode_seconds : {0.1, 30.0}) {
    std::mt19937 random(1);
    StrategyGhosts ghosts(kCapacity);
    for (int i = 0; i < 2'000; ++i) {
      ghosts.Request(Id(static_cast<int>(random() % 20)), ToTwoThirds(0.05, encode_seconds));
    }
    int compressed = 0;
    for (int i = 0; i < 20; ++i) {
      compressed += ghosts.StrategyFor(Id(i)) == CacheStrategy::kBalanced ? 1 : 0;
    }
    EXPECT_EQ(compressed > 0, encode_seconds == 0.1) << compressed;
  }
}

TEST(StrategyGhosts, FollowsAChange) {
  StrategyGhosts ghosts(kCapacity);
  RequestInTurn(ghosts, 9, ToTwoThirds());
  EXPECT_FALSE(ghosts.CompressingPays());
  RequestInTurn(ghosts, 14, ToTwoThirds());
  EXPECT_TRUE(ghosts.CompressingPays());
}

TEST(StrategyGhosts, ChangingOverConcernsAllComponents) {
  StrategyGhosts ghosts(kCapacity);
  std::vector<ComponentId> concerned;
  for (int i = 0; !ghosts.CompressingPays(); ++i) {
    ASSERT_LT(i, 2'000);
    concerned = ghosts.Request(Id(i % 14), ToTwoThirds());
  }
  EXPECT_EQ(concerned.size(), 14U);
}

TEST(StrategyGhosts, WhatTheMixDropsIsExpendable) {
  StrategyGhosts ghosts(kCapacity);
  RequestInTurn(ghosts, 14, ToTwoThirds());
  for (int i = 100; i < 110; ++i) {
    ghosts.Request(Id(i), ToTwoThirds());
    RequestInTurn(ghosts, 14, ToTwoThirds());
  }
  ASSERT_TRUE(ghosts.CompressingPays());
  EXPECT_TRUE(ghosts.IsExpendable(Id(100)));
  EXPECT_FALSE(ghosts.IsExpendable(Id(13)));
  EXPECT_FALSE(ghosts.IsExpendable(Id(99)));  // nobody asked for it
}

}  // namespace
}  // namespace warmset

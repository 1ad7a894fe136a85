#include "daemon/cache_settings.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using ::testing::HasSubstr;
using Retention = EntryStore::Retention;

Model With(CacheSettings settings, int64_t last_used_unix_ms = 0) {
  Model model;
  model.cache_settings = std::move(settings);
  model.last_used_unix_ms = last_used_unix_ms;
  return model;
}

TEST(StrategyOf, TheDefaultIsForModelsWithoutOneOfTheirOwn) {
  EXPECT_EQ(StrategyOf(With({}), CacheStrategy::kMemory), CacheStrategy::kMemory);
  EXPECT_EQ(StrategyOf(With({.strategy = "balanced"}), CacheStrategy::kMemory),
            CacheStrategy::kBalanced);
}

TEST(StrategyOf, AComponentOfSeveralModelsIsKeptAsTheOneThatWantsMostRaw) {
  Model memory = With({.strategy = "memory"});
  Model balanced = With({.strategy = "balanced"});
  Model by_default = With({});
  const std::vector<Model*> two = {&memory, &balanced};
  EXPECT_EQ(StrategyOf(two, CacheStrategy::kMemory), CacheStrategy::kBalanced);
  const std::vector<Model*> all = {&memory, &balanced, &by_default};
  EXPECT_EQ(StrategyOf(all, CacheStrategy::kSpeed), CacheStrategy::kSpeed);
}

TEST(RetentionOf, TheHighestOfAllUsersCounts) {
  Model low = With({.priority = "low"});
  Model high = With({.priority = "high"});
  Model pinned = With({.priority = "low", .pinned = true});
  const auto of = [](std::vector<Model*> users) { return RetentionOf(users, 0); };
  EXPECT_EQ(of({}), Retention::kMedium);
  EXPECT_EQ(of({&low}), Retention::kLow);
  EXPECT_EQ(of({&low, &high}), Retention::kHigh);
  EXPECT_EQ(of({&high, &pinned}), Retention::kKept);
}

TEST(RetentionOf, AModelIsKeptForItsTimeAfterTheLastUse) {
  Model model = With({.keep_seconds = 10}, 1'000);
  const std::vector<Model*> users = {&model};
  EXPECT_EQ(RetentionOf(users, 10'999), Retention::kKept);
  EXPECT_FALSE(IsKeptNoLonger(model, 10'999));
  EXPECT_EQ(RetentionOf(users, 11'000), Retention::kMedium);
  EXPECT_TRUE(IsKeptNoLonger(model, 11'000));
  model.cache_settings = CacheSettings{.pinned = true, .keep_seconds = 10};
  EXPECT_FALSE(IsKeptNoLonger(model, 11'000));
}

TEST(WithGiven, SetsOnlyWhatIsGiven) {
  v1::CacheSettings given;
  given.set_priority("high");
  const auto settings = WithGiven({.strategy = "memory", .pinned = true}, given);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(*settings,
            (CacheSettings{.strategy = "memory", .priority = "high", .pinned = true}));
  given.set_strategy("");  // as configured
  given.set_pinned(false);
  EXPECT_EQ(*WithGiven(*settings, given), (CacheSettings{.priority = "high"}));
}

TEST(WithGiven, KnowsTheWordsOfOthersForStrategies) {
  for (const auto& [word, strategy] : {std::pair("standard", "speed"),
                                       {"optimized", "adaptive"},
                                       {"memory_optimized", "memory"},
                                       {"Memory-Optimized", "memory"},
                                       {"BALANCED", "balanced"}}) {
    v1::CacheSettings given;
    given.set_strategy(word);
    EXPECT_EQ(WithGiven({}, given)->strategy, strategy) << word;
  }
}

TEST(ChangesOf, NamesWhatDiffers) {
  const auto changes = ChangesOf({.strategy = "memory", .keep_seconds = 60},
                                 {.priority = "high", .pinned = true, .keep_seconds = 60});
  std::vector<std::string> texts;
  for (const v1::SettingChange& change : changes) {
    texts.push_back(change.setting() + " " + change.before() + " " + change.after());
  }
  EXPECT_THAT(texts, ::testing::ElementsAre("strategy memory default", "priority medium high",
                                            "pin no yes"));
  EXPECT_TRUE(ChangesOf({}, {}).empty());
}

TEST(WithGiven, RefusesWhatIsNone) {
  v1::CacheSettings given;
  given.set_strategy("fast");
  const auto strategy = WithGiven({}, given).status();
  EXPECT_EQ(CodeOf(strategy), ErrorCode::kInvalidRequest);
  EXPECT_THAT(Message(strategy), HasSubstr("speed, memory, balanced, adaptive"));
  given.clear_strategy();
  given.set_keep_seconds(UINT64_MAX);
  EXPECT_EQ(CodeOf(WithGiven({}, given).status()), ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace warmset

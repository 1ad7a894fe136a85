#include "inspect/identify/name_pattern.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(NamePatternTest, Matches) {
  EXPECT_TRUE(MatchesName("", ""));
  EXPECT_TRUE(MatchesName("*", ""));
  EXPECT_TRUE(MatchesName("*", "anything"));
  EXPECT_TRUE(MatchesName("a.b", "a.b"));
  EXPECT_TRUE(MatchesName("blocks.#.w", "blocks.123.w"));
  EXPECT_TRUE(MatchesName("a~b~c", "a.b_c"));
  EXPECT_TRUE(MatchesName("*attn2~to_k", "down_blocks_1_attn2_to_k"));
  EXPECT_TRUE(MatchesName("*.#.*.weight", "a.b.1.c.2.weight"));
  EXPECT_TRUE(MatchesName("*ab", "aab"));
  EXPECT_TRUE(MatchesName("*a*b*", "xxaxxbxx"));

  EXPECT_FALSE(MatchesName("", "a"));
  EXPECT_FALSE(MatchesName("a", ""));
  EXPECT_FALSE(MatchesName("a.b", "a_b"));
  EXPECT_FALSE(MatchesName("blocks.#.w", "blocks..w"));
  EXPECT_FALSE(MatchesName("blocks.#.w", "blocks.1x.w"));
  EXPECT_FALSE(MatchesName("a~b", "a-b"));
  EXPECT_FALSE(MatchesName("*.weight", "weight"));
  EXPECT_FALSE(MatchesName("*#", "12a"));
}

TEST(NamePatternTest, AlternativesAreExpanded) {
  EXPECT_THAT(ExpandAlternatives("plain"), ElementsAre("plain"));
  EXPECT_THAT(ExpandAlternatives("x.{a,b}.{1,2}"), ElementsAre("x.a.1", "x.b.1", "x.a.2", "x.b.2"));
  EXPECT_THAT(ExpandAlternatives("w{,_a}"), ElementsAre("w", "w_a"));
}

std::vector<uint32_t> Matching(const PatternSet& patterns, std::string_view name) {
  std::vector<uint32_t> ids;
  patterns.ForEachMatch(
      name, [](uint32_t id) { return id != 100; }, [&](uint32_t id) { ids.push_back(id); });
  return ids;
}

TEST(NamePatternTest, ASetFindsWhatMatchesAndNothingElse) {
  const std::vector<std::string> patterns = {"a.b.c", "a.b.*", "a.#.c",     "*.c", "*",
                                             "#",     "~tail", "*.mid.*.c", "a"};
  PatternSet set;
  for (uint32_t i = 0; i < patterns.size(); ++i) set.Add(patterns[i], i);
  set.Add("*", 100);  // never wanted
  for (const char* name : {"a.b.c", "a.7.c", "a.b.", "a", "c", ".c", "12", ".tail", "_tail",
                           "x.mid.y.c", "", "a.b.c.d"}) {
    std::vector<uint32_t> expected;
    for (uint32_t i = 0; i < patterns.size(); ++i) {
      if (MatchesName(patterns[i], name)) expected.push_back(i);
    }
    EXPECT_THAT(Matching(set, name), testing::UnorderedElementsAreArray(expected)) << name;
  }
  EXPECT_THAT(Matching(PatternSet(), "a"), IsEmpty());
}

}  // namespace
}  // namespace warmset

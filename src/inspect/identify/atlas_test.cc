#include "inspect/identify/atlas.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/identify/atlas_expression.h"
#include "inspect/identify/join_candidates.h"
#include "inspect/identify/rules.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr std::string_view kShared[] = {"{bias,weight}", "attn.{to_k,to_q}.$0"};
constexpr AtlasRow kRows[] = {
    {"old", "llm", "{old,OldModel}", "", 8,
     "{norm.weight:1,layers.#.{attn.{k,q}.weight,mlp.weight}}", "", "layers.#.mlp.weight[0]=32"},
    {"new", "llm", "NewModel", "", 8, "{norm.weight:1,layers.#.{attn.{k,q}.weight,mlp.weight}}", "",
     "layers.#.mlp.weight[0]=64"},
    {"picture", "transformer", "PictureModel", "body", 16, "{blocks.#.$1,conv_in.weight:4}",
     "extra.weight", "", "conv_in.weight:4[0]=48"},
};
const Atlas& TestAtlas() {
  static const Atlas* const atlas = new Atlas(kRows, kShared);
  return *atlas;
}

// Names with shapes, as of tensors; the shapes live as long as the program.
NameSet Names(const std::vector<std::pair<std::string_view, std::vector<uint64_t>>>& tensors) {
  static auto* const shapes = new std::vector<std::unique_ptr<std::vector<uint64_t>>>;
  NameSet names;
  for (const auto& [name, shape] : tensors) {
    shapes->push_back(std::make_unique<std::vector<uint64_t>>(shape));
    names.Add(name, *shapes->back());
  }
  return names;
}

NameSet Old(uint64_t mlp = 32) {
  return Names({{"norm.weight", {8}},
                {"layers.0.attn.k.weight", {8, 8}},
                {"layers.0.attn.q.weight", {8, 8}},
                {"layers.11.attn.q.weight", {8, 8}},
                {"layers.0.mlp.weight", {mlp, 8}}});
}

std::vector<std::string> Expanded(std::string_view text) {
  std::vector<std::string> names;
  ExpandNames(text, kShared, [&](const std::string& name, size_t rank) {
    names.push_back(name + ":" + std::to_string(rank));
  });
  return names;
}

TEST(AtlasExpressionTest, BracesNestAndSharedTextsAreFilledIn) {
  EXPECT_THAT(Expanded("{a.{b,c}.weight,d.bias}"),
              ElementsAre("a.b.weight:2", "a.c.weight:2", "d.bias:1"));
  EXPECT_THAT(Expanded("x.#.$1"), ElementsAre("x.#.attn.to_k.bias:1", "x.#.attn.to_k.weight:2",
                                              "x.#.attn.to_q.bias:1", "x.#.attn.to_q.weight:2"));
  EXPECT_THAT(Expanded("conv.weight:4"), ElementsAre("conv.weight:4"));
  EXPECT_THAT(Expanded(""), IsEmpty());
}

TEST(NameSetTest, NumbersBetweenDotsAreAlike) {
  EXPECT_EQ(HashOfName("layers.0.w1.weight", 2), HashOfName("layers.17.w1.weight", 2));
  EXPECT_NE(HashOfName("layers.0.w1.weight", 2), HashOfName("layers.0.w2.weight", 2));
  EXPECT_NE(HashOfName("conv.weight", 4), HashOfName("conv.weight", 5));
  EXPECT_EQ(HashOfLayer("down_blocks_1_attn1_to_q"), HashOfLayer("down.blocks.2.attn1.to.q"));
  EXPECT_THAT(Old().names(), SizeIs(4));
}

TEST(NameSetTest, TheNumbersOfCosmosBlocksAreAlike) {
  EXPECT_EQ(HashOfName("blocks.block0.x.weight", 2), HashOfName("blocks.block17.x.weight", 2));
  EXPECT_NE(HashOfName("blocks.block0.x.weight", 2), HashOfName("blocks.0.x.weight", 2));
  EXPECT_NE(HashOfName("mid.block_1.weight", 2), HashOfName("mid.block_2.weight", 2));
}

TEST(NameSetTest, PackedWeightsAreWeights) {
  const NameSet packed = Names({{"a.qweight", {8, 1}}, {"a.scales", {1, 8}}});
  ASSERT_THAT(packed.names(), SizeIs(2));
  EXPECT_EQ(packed.names().at(HashOfName("a.qweight", 2)).weight, HashOfName("a.weight", 2));
  EXPECT_TRUE(packed.names().at(HashOfName("a.scales", 2)).packing);
}

TEST(NameSetTest, AHeaderOfManyNamesIsOnlyCounted) {
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) texts.push_back("name" + std::to_string(i));
  NameSet names;
  for (const std::string& text : texts) names.Add(text, {});
  EXPECT_THAT(names.names(), SizeIs(NameSet::kMaxNames));
  EXPECT_EQ(names.left_out(), 5000 - NameSet::kMaxNames);
  EXPECT_THAT(TestAtlas().Match(names), IsEmpty());
}

TEST(AtlasTest, AllNamesOfARowAreThatRow) {
  const auto matches = TestAtlas().Match(Names({{"blocks.3.attn.to_k.weight", {16, 16}},
                                                {"blocks.3.attn.to_q.weight", {16, 16}},
                                                {"blocks.3.attn.to_k.bias", {16}},
                                                {"blocks.3.attn.to_q.bias", {16}},
                                                {"conv_in.weight", {16, 4, 3, 3}}}));
  ASSERT_FALSE(matches.empty());
  EXPECT_EQ(matches[0].row->name, "picture");
  EXPECT_EQ(matches[0].value(), 1);
}

TEST(AtlasTest, HeadsPutAPrefixBeforeTheNames) {
  const auto matches = TestAtlas().Match(
      Names({{"body.conv_in.weight", {16, 4, 3, 3}}, {"body.extra.weight", {1, 1}}}));
  ASSERT_FALSE(matches.empty());
  EXPECT_EQ(matches[0].explained, 1);
  EXPECT_LT(matches[0].complete, 1);
}

TEST(AtlasTest, NamesThatNoRowHasCountAgainstAll) {
  NameSet names = Old();
  names.Add("something.else.weight", {});
  EXPECT_LT(TestAtlas().Match(names)[0].explained, 0.9);
}

TEST(AtlasTest, WordsOfConfigurationsAreFound) {
  ASSERT_THAT(TestAtlas().FindWord("OldModel"), SizeIs(1));
  EXPECT_EQ(TestAtlas().FindWord("old")[0]->name, "old");
  EXPECT_THAT(TestAtlas().FindWord("Other"), IsEmpty());
}

TEST(AtlasTest, LayersOfALoraTellItsBases) {
  const LayerShape layers[] = {{"blocks_0_attn_to_q", 16, 16}, {"blocks.7.attn.to_k", 16, 0}};
  const auto matches = TestAtlas().MatchLayers(layers);
  ASSERT_THAT(matches, SizeIs(1));
  EXPECT_EQ(matches[0].row->name, "picture");
  EXPECT_EQ(matches[0].explained, 1);
  const LayerShape narrow[] = {{"blocks_0_attn_to_q", 9, 9}};
  EXPECT_THAT(TestAtlas().MatchLayers(narrow), IsEmpty());
}

TEST(AtlasTest, LayersOfRealModels) {
  const LayerShape layers[] = {
      {"transformer_blocks.0.attn.add_q_proj", 3072, 3072},
      {"single_transformer_blocks.0.proj_mlp", 12288, 3072},
      {"single_transformer_blocks.0.attn.to_q", 3072, 3072},
  };
  const auto matches = Atlas::Builtin().MatchLayers(layers);
  ASSERT_FALSE(matches.empty());
  EXPECT_EQ(matches[0].row->name, "flux.1");
  EXPECT_EQ(matches[0].explained, 1);
}

TEST(AtlasTest, EveryRowOfTheTableHasANameAndNames) {
  const Atlas& atlas = Atlas::Builtin();
  ASSERT_GT(atlas.rows().size(), 500u);
  for (const AtlasRow& row : atlas.rows()) {
    EXPECT_FALSE(row.name.empty());
    EXPECT_FALSE(row.core.empty() && row.more.empty()) << row.name;
  }
}

std::vector<std::string> NamesOf(const std::vector<Candidate>& candidates) {
  std::vector<std::string> names;
  for (const Candidate& each : candidates) names.push_back(each.name);
  return names;
}

TEST(JoinCandidatesTest, RelativesThatNothingTellsApartAreUncertain) {
  const auto joined = JoinCandidates({}, TestAtlas().Match(Old(48)));
  EXPECT_THAT(NamesOf(joined), UnorderedElementsAre("old", "new"));
  EXPECT_EQ(joined[0].name, "old");
  EXPECT_LT(joined[0].confidence, 0.6);
}

NameSet Picture(uint64_t width) {
  return Names({{"blocks.3.attn.to_k.weight", {16, 16}},
                {"blocks.3.attn.to_q.weight", {16, 16}},
                {"blocks.3.attn.to_k.bias", {16}},
                {"blocks.3.attn.to_q.bias", {16}},
                {"conv_in.weight", {width, 4, 3, 3}}});
}

TEST(JoinCandidatesTest, NamesAloneAreNotSure) {
  const auto by_names = JoinCandidates({}, TestAtlas().Match(Picture(16)));
  ASSERT_THAT(NamesOf(by_names), ElementsAre("picture"));
  EXPECT_LT(by_names[0].confidence, 0.8);
  const Candidate rule{"picture-large", "picture-large", "transformer", 0.95, {"a name"}};
  EXPECT_LT(JoinCandidates({rule}, TestAtlas().Match(Picture(16)))[0].confidence, 0.8);
}

TEST(JoinCandidatesTest, SizesThatHardlyAnyOtherHasMakeItSure) {
  const auto sized = JoinCandidates({}, TestAtlas().Match(Picture(48)));
  ASSERT_THAT(NamesOf(sized), ElementsAre("picture"));
  EXPECT_GT(sized[0].confidence, 0.9);
  const Candidate rule{"picture-small", "picture-small", "transformer", 0.9, {"a size"}, "", true};
  EXPECT_GT(JoinCandidates({rule}, TestAtlas().Match(Picture(16)))[0].confidence, 0.9);
}

TEST(JoinCandidatesTest, AMassOfUnknownTensorsMakesItUnsure) {
  NameSet names = Picture(48);
  const std::vector<uint64_t> huge = {1 << 20, 1 << 10};
  names.Add("conv_in.scales", huge);  // a quantisation's own
  auto matches = TestAtlas().Match(names);
  ASSERT_FALSE(matches.empty());
  EXPECT_EQ(matches[0].bulk, 1);
  names.Add("unknown.weight", huge);
  EXPECT_LT(TestAtlas().Match(names)[0].bulk, 0.1);
  matches[0].bulk = 0.5;
  EXPECT_LT(JoinCandidates({}, matches)[0].confidence, 0.8);
}

TEST(JoinCandidatesTest, ASizeTellsRelativesApart) {
  const auto joined = JoinCandidates({}, TestAtlas().Match(Old(64)));
  EXPECT_THAT(NamesOf(joined), ElementsAre("new"));
  EXPECT_LT(joined[0].confidence, 0.8);
}

TEST(JoinCandidatesTest, NamesDenyARuleOfAnotherFamily) {
  const Candidate rule{"other", "other", "llm", 0.95, {"one bias"}};
  const auto joined = JoinCandidates({rule}, TestAtlas().Match(Old()));
  EXPECT_THAT(NamesOf(joined), testing::Not(testing::Contains("other")));
}

TEST(JoinCandidatesTest, ARuleRefinesItsFamily) {
  const Candidate rule{"old-7b", "old-7b", "llm", 0.9, {"norm.weight [8]"}};
  const auto joined = JoinCandidates({rule}, TestAtlas().Match(Old()));
  EXPECT_EQ(joined[0].name, "old-7b");
  EXPECT_GT(joined[0].confidence, 0.7);
  EXPECT_LT(joined[0].confidence, 0.8);  // "new" has the same names
}

TEST(JoinCandidatesTest, UnknownNamesLowerARulesConfidence) {
  const Candidate rule{"picture-small", "picture-small", "transformer", 0.9, {"a name"}};
  NameSet names = Names({{"conv_in.weight", {16, 4, 3, 3}}});
  names.Add("unknown.weight", {});
  const auto joined = JoinCandidates({rule}, TestAtlas().Match(names));
  ASSERT_THAT(NamesOf(joined), ElementsAre("picture-small"));
  EXPECT_LT(joined[0].confidence, 0.6);
}

}  // namespace
}  // namespace warmset

#include "inspect/weight_sets.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> NoShards(const std::string&) { return {}; }

TEST(WeightSetsTest, IndexNamesGiveTheirStem) {
  EXPECT_EQ(IndexStem("model.safetensors.index.json"), "model");
  EXPECT_EQ(IndexStem("model.fp16.safetensors.index.json"), "model.fp16");
  EXPECT_EQ(IndexStem("diffusion_pytorch_model.safetensors.index.fp16.json"),
            "diffusion_pytorch_model.fp16");
  for (const char* other : {"model.safetensors", "config.json", ".safetensors.index.json",
                            "a.safetensors.index.", "a.safetensors.index..json"}) {
    EXPECT_EQ(IndexStem(other), std::nullopt) << other;
  }
}

TEST(WeightSetsTest, ShardsBelongToTheIndexThatNamesThem) {
  const std::vector<std::string> names = {"model.safetensors.index.json", "x.safetensors",
                                          "y.safetensors", "z.safetensors", "config.json"};
  const auto sets = GroupWeights(names, [](const std::string&) {
    return std::vector<std::string>{"x.safetensors", "y.safetensors", "absent.safetensors"};
  });
  EXPECT_THAT(sets, ElementsAre(WeightSet{"model", names[0], {"x.safetensors", "y.safetensors"}},
                                WeightSet{"z", "", {"z.safetensors"}}));
}

TEST(WeightSetsTest, ShardsOfABrokenIndexAreNotModelsOfTheirOwn) {
  const std::vector<std::string> names = {
      "model.safetensors.index.json", "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors", "other-00001-of-00001.safetensors"};
  const auto sets = GroupWeights(names, NoShards);
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_THAT(sets[0].files, ElementsAre(names[1], names[2]));
  EXPECT_EQ(sets[1].stem, "other-00001-of-00001");
}

TEST(WeightSetsTest, AFileBesideAnIndexOfItsStemIsASetOfItsOwn) {
  const std::vector<std::string> names = {"model.safetensors", "model.safetensors.index.json"};
  const auto sets = GroupWeights(names, NoShards);
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_THAT(VariantLabels(sets), ElementsAre("", "model"));
}

TEST(WeightSetsTest, PartsOfASplitGgufFileBelongTogether) {
  const std::vector<std::string> names = {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf",
                                          "m-00003-of-00003.gguf", "m-00001-of-00001.gguf",
                                          "m-00004-of-00003.gguf", "m.gguf",
                                          "m.safetensors"};
  const auto sets = GroupWeights(names, NoShards);
  EXPECT_THAT(sets, testing::UnorderedElementsAre(WeightSet{"m", "", {names[0], names[1]}, 2},
                                                  WeightSet{"m", "", {names[2]}, 3},
                                                  WeightSet{"m-00001-of-00001", "", {names[3]}},
                                                  WeightSet{"m-00004-of-00003", "", {names[4]}},
                                                  WeightSet{"m", "", {"m.gguf"}},
                                                  WeightSet{"m", "", {"m.safetensors"}}));
  for (const WeightSet& set : sets) EXPECT_EQ(set.IsSingleFile(), set.parts == 1);
  const auto labels = VariantLabels(sets);
  EXPECT_EQ(std::set<std::string>(labels.begin(), labels.end()).size(), sets.size());
}

TEST(WeightSetsTest, TheOneWithoutVariantIsLoadedByDefault) {
  const auto labels = [](std::vector<std::string> names) {
    return VariantLabels(GroupWeights(names, NoShards));
  };
  EXPECT_THAT(
      labels({"diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors",
              "diffusion_pytorch_model.non_ema.safetensors"}),
      ElementsAre("", "fp16", "non_ema"));
  EXPECT_THAT(labels({"model.fp16.safetensors"}), ElementsAre(""));
  EXPECT_THAT(labels({"model.bf16.safetensors", "model.fp16.safetensors"}),
              ElementsAre("", "fp16"));
  EXPECT_THAT(labels({"extra.safetensors", "model.safetensors"}), ElementsAre("extra", ""));
  EXPECT_THAT(labels({"model.fp16.safetensors", "diffusion_pytorch_model.fp16.safetensors",
                      "model.safetensors"}),
              ElementsAre("fp16", "", "model.fp16"));
  EXPECT_THAT(labels({}), IsEmpty());
}

}  // namespace
}  // namespace warmset

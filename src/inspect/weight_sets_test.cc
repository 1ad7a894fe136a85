#include "inspect/weight_sets.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> NoShards(const std::string&) { return {}; }

// "stem suffix: files" of each set.
std::vector<std::string> Shown(const std::vector<WeightSet>& sets) {
  std::vector<std::string> shown;
  for (const WeightSet& set : sets) {
    std::string& text = shown.emplace_back(set.stem + " " + set.suffix + ":");
    if (!set.index.empty()) text += " " + set.index;
    for (const std::string& file : set.files) text += " " + file;
    if (set.missing_count != 0) {
      text += " -" + std::to_string(set.missing_count) + " " + set.first_missing;
    }
  }
  return shown;
}

TEST(WeightSetsTest, IndexNamesGiveTheirStem) {
  EXPECT_EQ(ParseIndexName("model.safetensors.index.json"), (IndexName{"model", ".safetensors"}));
  EXPECT_EQ(ParseIndexName("model.fp16.safetensors.index.json"),
            (IndexName{"model.fp16", ".safetensors"}));
  EXPECT_EQ(ParseIndexName("diffusion_pytorch_model.safetensors.index.fp16.json"),
            (IndexName{"diffusion_pytorch_model.fp16", ".safetensors"}));
  EXPECT_EQ(ParseIndexName("pytorch_model.bin.index.json"), (IndexName{"pytorch_model", ".bin"}));
  for (const char* other :
       {"model.safetensors", "config.json", ".safetensors.index.json", "a.safetensors.index.",
        "a.safetensors.index..json", "a.gguf.index.json", "a.index.json"}) {
    EXPECT_EQ(ParseIndexName(other), std::nullopt) << other;
  }
}

TEST(WeightSetsTest, NumberedNames) {
  EXPECT_EQ(ParseNumberedName("a-00002-of-00003.gguf"), (NumberedName{"a", ".gguf", 2, 3}));
  EXPECT_EQ(ParseNumberedName("model-00001-of-00002.fp16.safetensors"),
            (NumberedName{"model.fp16", ".safetensors", 1, 2}));
  EXPECT_EQ(ParseNumberedName("model.fp16-00001-of-00002.safetensors"),
            (NumberedName{"model.fp16", ".safetensors", 1, 2}));
  for (const char* other :
       {"a-00000-of-00003.gguf", "a-00004-of-00003.gguf", "a-1-of-3.gguf", "-00001-of-00002.gguf",
        "a-0000x-of-00002.gguf", "a-00001-of-000021.gguf", "a-00001-of-00002..gguf", "a.gguf",
        "a-00001-of-00002.txt", "-of-.gguf", "00001-of-00002.gguf", "a-00001-of-.gguf"}) {
    EXPECT_EQ(ParseNumberedName(other), std::nullopt) << other;
  }
}

TEST(WeightSetsTest, WhatCountsAsWeightsByItsName) {
  for (const char* name :
       {"a.safetensors", "a.sft", "a.gguf", "a.ckpt", "a.pt", "a.pth", "a.jit", "a.onnx", "a.dduf",
        "pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "adapter_model.bin",
        "diffusion_pytorch_model.fp16.bin", "learned_embeds.bin", "ip-adapter_sd15.bin"}) {
    EXPECT_TRUE(IsWeightsFile(name)) << name;
    EXPECT_TRUE(MayBeWeightsFile(name)) << name;
  }
  EXPECT_FALSE(IsWeightsFile("firmware.bin"));
  EXPECT_TRUE(MayBeWeightsFile("firmware.bin"));
  for (const char* name : {".safetensors", "a.txt", "a.pkl", "training_args.bin", "optimizer.pt",
                           "rng_state_0.pth", "openvino_model.bin", "random_states_0.pkl"}) {
    EXPECT_FALSE(MayBeWeightsFile(name)) << name;
  }
}

TEST(WeightSetsTest, DataOfOnnxModels) {
  for (const char* name :
       {"m.onnx_data", "m.onnx.data", "m.onnx_data_1", "m.onnx.data.2", "m.onnx_data0"}) {
    EXPECT_TRUE(IsOnnxData(name)) << name;
    EXPECT_TRUE(IsOnnxDataOf(name, "m.onnx")) << name;
    EXPECT_FALSE(IsOnnxDataOf(name, "other.onnx")) << name;
  }
  for (const char* name : {"m.onnx", "m.onnx.json", "m.onnx_datasheet", ".onnx_data", "data"}) {
    EXPECT_FALSE(IsOnnxData(name)) << name;
  }
}

TEST(WeightSetsTest, ShardsBelongToTheIndexThatNamesThem) {
  const std::vector<std::string> names = {"model.safetensors.index.json", "x.safetensors",
                                          "y.safetensors", "z.safetensors", "config.json"};
  const auto sets = GroupWeights(names, [](const std::string&) {
    return std::vector<std::string>{"x.safetensors", "y.safetensors", "absent.safetensors"};
  });
  EXPECT_THAT(Shown(sets),
              ElementsAre("model .safetensors: model.safetensors.index.json x.safetensors "
                          "y.safetensors -1 absent.safetensors",
                          "z .safetensors: z.safetensors"));
}

TEST(WeightSetsTest, ShardsOfABrokenIndexAreNotModelsOfTheirOwn) {
  const std::vector<std::string> names = {
      "model.safetensors.index.json", "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors", "other-00001-of-00001.safetensors"};
  const auto sets = GroupWeights(names, NoShards);
  ASSERT_THAT(sets, SizeIs(2));
  EXPECT_THAT(sets[0].files, ElementsAre(names[1], names[2]));
  EXPECT_EQ(sets[1].stem, "other");
  EXPECT_FALSE(sets[1].sharded());
}

TEST(WeightSetsTest, EndingsHaveNoCase) {
  EXPECT_TRUE(IsWeightsFile("LOUD.SAFETENSORS"));
  EXPECT_TRUE(IsWeightsFile("Mixed.SafeTensors"));
  EXPECT_TRUE(IsWeightsFile("pytorch_model.BIN"));
  EXPECT_TRUE(IsOnnxData("Model.ONNX_data"));
  const std::vector<std::string> names = {"A-00001-of-00002.GGUF", "A-00002-of-00002.gguf",
                                          "B.SafeTensors", "C-00001-of-00002.GGUF"};
  const auto sets = GroupWeights(names, NoShards);
  EXPECT_THAT(Shown(sets), ElementsAre("A .gguf: A-00001-of-00002.GGUF A-00002-of-00002.gguf",
                                       "B .safetensors: B.SafeTensors",
                                       "C .gguf: C-00001-of-00002.GGUF -1 C-00002-of-00002.GGUF"));
}

TEST(WeightSetsTest, NumbersHoldPartsTogether) {
  const std::vector<std::string> names = {
      "a-00001-of-00002.gguf", "a-00002-of-00002.gguf", "a-00002-of-00003.gguf",
      "b-00001-of-99999.gguf", "b-00003-of-99999.gguf", "c.gguf"};
  EXPECT_THAT(Shown(GroupWeights(names, NoShards)),
              ElementsAre("a .gguf: a-00001-of-00002.gguf a-00002-of-00002.gguf",
                          "a .gguf: a-00002-of-00003.gguf -2 a-00001-of-00003.gguf",
                          "b .gguf: b-00001-of-99999.gguf b-00003-of-99999.gguf -99997 "
                          "b-00002-of-99999.gguf",
                          "c .gguf: c.gguf"));
}

TEST(WeightSetsTest, AFileBesideAnIndexOfItsStemIsASetOfItsOwn) {
  const std::vector<std::string> names = {"model.safetensors", "model.safetensors.index.json"};
  const auto sets = GroupWeights(names, NoShards);
  ASSERT_THAT(sets, SizeIs(2));
  EXPECT_THAT(VariantLabels(sets), ElementsAre("", "model"));
}

TEST(WeightSetsTest, WhatLiesThereAsSafetensorsIsNotReadFromPickles) {
  const std::vector<std::string> names = {
      "model.safetensors", "pytorch_model.bin", "pytorch_model.fp16.bin",
      "diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors", "other.bin",
      "other.safetensors"};
  auto sets = GroupWeights(names, NoShards);
  EXPECT_THAT(Shown(TakeCopies(sets)),
              ElementsAre("diffusion_pytorch_model .bin: diffusion_pytorch_model.bin",
                          "pytorch_model .bin: pytorch_model.bin"));
  EXPECT_THAT(Shown(sets),
              ElementsAre("diffusion_pytorch_model .safetensors: "
                          "diffusion_pytorch_model.safetensors",
                          "model .safetensors: model.safetensors", "other .bin: other.bin",
                          "other .safetensors: other.safetensors",
                          "pytorch_model.fp16 .bin: pytorch_model.fp16.bin"));
}

TEST(WeightSetsTest, PicklesStayWhileTheSafetensorsAreNotWhole) {
  auto sets = GroupWeights(
      std::vector<std::string>{"model-00001-of-00002.safetensors", "pytorch_model.bin"}, NoShards);
  EXPECT_THAT(TakeCopies(sets), IsEmpty());
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

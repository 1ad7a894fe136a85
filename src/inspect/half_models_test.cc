// Models of which a part is missing, is there twice, or belongs to another save.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/gguf/test_gguf.h"
#include "inspect/inspect_fixture.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr const char* kConfig = R"({"model_type":"llama"})";

std::string Index(const std::vector<std::pair<std::string, std::string>>& tensors) {
  std::string map;
  for (const auto& [tensor, shard] : tensors) {
    map += (map.empty() ? "\"" : ",\"") + tensor + "\":\"" + shard + "\"";
  }
  return R"({"metadata":{"total_size":1},"weight_map":{)" + map + "}}";
}

class HalfModelsTest : public InspectTest {};

TEST_F(HalfModelsTest, AnIndexThatLeavesOutAShardOfItsSetIsIncomplete) {
  Write("config.json", kConfig);
  Write("model-00001-of-00002.safetensors", TestSafetensors({{"a", 8}}));
  Write("model-00002-of-00002.safetensors", TestSafetensors({{"b", 8}}));
  Write("model.safetensors.index.json", Index({{"a", "model-00001-of-00002.safetensors"}}));
  const Status status = Refusal(ModelLayout::kTransformers);
  EXPECT_EQ(CodeOf(status), ErrorCode::kIncompleteModel);
  EXPECT_THAT(std::string(Message(status)),
              HasSubstr("model-00002-of-00002.safetensors: model.safetensors.index.json leaves"));
}

TEST_F(HalfModelsTest, AShardThatTheNumbersPromiseAndTheIndexDoesNotIsAWarning) {
  Write("model-00001-of-00002.safetensors", TestSafetensors({{"a", 8}}));
  Write("model.safetensors.index.json", Index({{"a", "model-00001-of-00002.safetensors"}}));
  const auto manifest = Inspect(ModelLayout::kSharded);
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  ASSERT_THAT(manifest->findings, SizeIs(1));
  EXPECT_THAT(manifest->findings[0].message, HasSubstr("model-00002-of-00002.safetensors"));
}

TEST_F(HalfModelsTest, ShardsOfAnotherSaveBesideTheIndexAreNoPartOfTheModel) {
  Write("model-00001-of-00001.safetensors", TestSafetensors({{"a", 8}}));
  Write("model-00003-of-00009.safetensors", TestSafetensors({{"old", 8}}));
  Write("model.safetensors.index.json", Index({{"a", "model-00001-of-00001.safetensors"}}));
  EXPECT_EQ(Inspect(ModelLayout::kSharded)->verdict(), Verdict::kOk);
}

TEST_F(HalfModelsTest, OfATensorInTwoShardsTheLastIsUsed) {
  Write("model-00001-of-00002.safetensors", TestSafetensors({{"a", 8}, {"both", 4}}));
  Write("model-00002-of-00002.safetensors", TestSafetensors({{"both", 6}, {"c", 2}}));
  const auto manifest = Inspect(ModelLayout::kSharded);
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  ASSERT_THAT(manifest->findings, SizeIs(1));
  EXPECT_THAT(manifest->findings[0].message, HasSubstr("tensor 'both' (1 such) is in two shards"));
  ASSERT_THAT(manifest->components, SizeIs(1));
  const auto tensors = TensorsOf(*manifest, manifest->components[0]);
  EXPECT_THAT(tensors, SizeIs(3));
  EXPECT_EQ(tensors.at("both").size(), 6u);
}

struct Stale {
  const char* single;
  const char* index;
  ModelLayout layout;
  const char* folder = "";
};

class StaleIndexTest : public HalfModelsTest, public testing::WithParamInterface<Stale> {};

TEST_P(StaleIndexTest, AWholeFileIsUsedInPlaceOfAStaleIndex) {
  const Stale& stale = GetParam();
  const std::string folder = stale.folder;
  if (stale.layout == ModelLayout::kDiffusers) {
    Write("model_index.json", R"({"_class_name":"P","unet":["diffusers","UNet2DConditionModel"]})");
  }
  Write(folder + "config.json", kConfig);
  Write(folder + stale.index, Index({{"a", "gone-00001-of-00002.safetensors"},
                                     {"b", "gone-00002-of-00002.safetensors"}}));
  Write(folder + stale.single, TestSafetensors({{"a", 8}}));
  const auto manifest = Inspect(stale.layout);
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  ASSERT_THAT(manifest->components, SizeIs(1));
  EXPECT_EQ(manifest->components[0].name, folder.empty() ? "model" : "unet");
  ASSERT_THAT(manifest->findings, testing::Not(testing::IsEmpty()));
  EXPECT_EQ(manifest->findings[0].path, folder + stale.index);
  EXPECT_THAT(manifest->findings[0].message, HasSubstr("gone-00001-of-00002.safetensors is not"));
  EXPECT_THAT(manifest->findings[0].message, HasSubstr(std::string(stale.single) + " is used"));
}

INSTANTIATE_TEST_SUITE_P(
    , StaleIndexTest,
    testing::Values(
        Stale{"model.safetensors", "model.safetensors.index.json", ModelLayout::kTransformers},
        Stale{"pytorch_model.bin", "pytorch_model.bin.index.json", ModelLayout::kTransformers},
        Stale{"model.fp16.safetensors", "model.safetensors.index.fp16.json",
              ModelLayout::kTransformers},
        Stale{"diffusion_pytorch_model.safetensors",
              "diffusion_pytorch_model.safetensors.index.json", ModelLayout::kTransformers},
        Stale{"diffusion_pytorch_model.safetensors",
              "diffusion_pytorch_model.safetensors.index.json", ModelLayout::kDiffusers, "unet/"},
        Stale{"diffusion_pytorch_model.fp16.safetensors",
              "diffusion_pytorch_model.safetensors.index.fp16.json", ModelLayout::kDiffusers,
              "unet/"}));

TEST_F(HalfModelsTest, AWholeFileIsUsedInPlaceOfABrokenIndex) {
  Write("config.json", kConfig);
  Write("model.safetensors", TestSafetensors({{"a", 8}}));
  for (const char* index : {"", "{\"metadata\": {\"total", "[]"}) {
    Write("model.safetensors.index.json", index);
    const auto manifest = Inspect(ModelLayout::kTransformers);
    EXPECT_EQ(manifest->verdict(), Verdict::kOk) << index;
    EXPECT_THAT(Names(*manifest), ElementsAre(testing::StartsWith("model:")));
    model_.files.pop_back();
  }
  // An index that leads out stays what it is.
  Write("model.safetensors.index.json", Index({{"a", "../other.safetensors"}}));
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kTransformers)), ErrorCode::kUnsafeModel);
}

TEST_F(HalfModelsTest, ABrokenFileDoesNotReplaceItsShards) {
  Write("config.json", kConfig);
  Write("model.safetensors", TestSafetensors({{"a", 8}}).substr(0, 40));
  Write("model-00001-of-00001.safetensors", TestSafetensors({{"a", 8}}));
  Write("model.safetensors.index.json", Index({{"a", "model-00001-of-00001.safetensors"}}));
  const auto manifest = Inspect(ModelLayout::kTransformers);
  EXPECT_EQ(manifest->verdict(), Verdict::kIncomplete);
  EXPECT_THAT(manifest->components, SizeIs(1));
}

TEST_F(HalfModelsTest, AWholeFileBesideWholeShardsComesFirstInTransformersOnly) {
  Write("config.json", kConfig);
  Write("model.safetensors", TestSafetensors({{"new", 8}}));
  Write("model-00001-of-00001.safetensors", TestSafetensors({{"old", 8}}));
  Write("model.safetensors.index.json", Index({{"old", "model-00001-of-00001.safetensors"}}));
  const auto manifest = Inspect(ModelLayout::kTransformers);
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  ASSERT_THAT(manifest->components, SizeIs(1));
  EXPECT_EQ(TensorsOf(*manifest, manifest->components[0]).count("new"), 1u);
}

TEST_F(HalfModelsTest, AnIndexOfATerabyteHasAVerdict) {
  Write("model.safetensors.index.json", "{");
  std::filesystem::resize_file(folder_ + "/model.safetensors.index.json", uint64_t{1} << 40);
  model_.files[0].identity = *os::IdentifyPath(folder_ + "/model.safetensors.index.json");
  const Status status = Refusal(ModelLayout::kSharded);
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptedModel);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("1099511627776 bytes"));
}

TEST_F(HalfModelsTest, TrailingBytesLeaveWhatForceTakes) {
  Write("m.safetensors", TestSafetensors({{"a", 8}, {"b", 4}}) + "abc");
  const auto manifest = Inspect(ModelLayout::kFile);
  EXPECT_EQ(manifest->verdict(), Verdict::kCorrupt);
  EXPECT_THAT(manifest->findings[0].message,
              HasSubstr("3 bytes follow the last tensor, which safetensors forbids; every tensor "
                        "is whole: --force takes them"));
  ASSERT_THAT(manifest->components, SizeIs(1));
  EXPECT_EQ(TensorsOf(*manifest, manifest->components[0])["b"].size(), 4u);
}

TEST_F(HalfModelsTest, WhatIsCutOffHasNoComponents) {
  const std::string gguf = TestGguf().Tensor("a", {8}).Tensor("b", {8}).File();
  const std::string safetensors = TestSafetensors({{"a", 8}, {"b", 4}});
  for (const auto& [name, file] : {std::pair("m.gguf", gguf), {"m.safetensors", safetensors}}) {
    model_ = {};
    Write(name, file.substr(0, file.size() - 1));
    const auto manifest = Inspect(ModelLayout::kFile);
    EXPECT_EQ(manifest->verdict(), Verdict::kIncomplete);
    EXPECT_THAT(manifest->findings[0].message, HasSubstr("bytes are there; download it again"));
    EXPECT_THAT(manifest->components, testing::IsEmpty());
  }
}

TEST_F(HalfModelsTest, PartsJoinedByCatAreToldOnce) {
  const auto part = [](uint16_t number, std::string_view tensor) {
    return TestGguf()
        .Set("split.no", number)
        .Set("split.count", uint16_t{2})
        .Set("split.tensors.count", int32_t{2})
        .Tensor(tensor, {8})
        .File();
  };
  Write("m.gguf", part(0, "a") + part(1, "b"));
  const auto joined = Inspect(ModelLayout::kFile);
  EXPECT_EQ(joined->verdict(), Verdict::kIncomplete);
  ASSERT_THAT(joined->findings, SizeIs(1));
  EXPECT_THAT(joined->findings[0].message, HasSubstr("joined byte by byte"));

  model_ = {};
  Write("renamed.gguf", part(0, "a"));
  const auto renamed = Inspect(ModelLayout::kFile);
  ASSERT_THAT(renamed->findings, SizeIs(1));
  EXPECT_THAT(renamed->findings[0].message, HasSubstr("rename it"));
}

TEST_F(HalfModelsTest, AFileOfZerosSaysSo) {
  for (const char* name : {"m.safetensors", "m.gguf", "m.onnx", "m.pt"}) {
    model_ = {};
    Write(name, std::string(10'000, '\0'));
    const Status status = Refusal(ModelLayout::kFile);
    EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptedModel) << name;
    EXPECT_THAT(std::string(Message(status)), HasSubstr("it holds zeros")) << name;
  }
}

TEST_F(HalfModelsTest, AnEmptyFileSaysSo) {
  for (const char* name : {"m.safetensors", "m.gguf", "m.onnx", "m.pt", "m.dduf"}) {
    model_ = {};
    Write(name, "");
    const Status status = Refusal(ModelLayout::kFile);
    EXPECT_EQ(CodeOf(status), ErrorCode::kIncompleteModel) << name;
    EXPECT_THAT(std::string(Message(status)), HasSubstr("it is empty")) << name;
  }
}

TEST_F(HalfModelsTest, AHoleAtTheEndIsAWarning) {
  const std::string whole = TestSafetensors({{"a", 8 << 20}});
  Write("m.safetensors", whole.substr(0, 1 << 20));
  std::filesystem::resize_file(folder_ + "/m.safetensors", whole.size());
  model_.files[0].identity = *os::IdentifyPath(folder_ + "/m.safetensors");
  if (*os::BytesOnDisk(os::OpenForRead(folder_ + "/m.safetensors")->get()) > (6u << 20)) {
    GTEST_SKIP() << "this filesystem has no holes";
  }
  const auto manifest = Inspect(ModelLayout::kFile);
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  ASSERT_THAT(manifest->findings, SizeIs(1));
  EXPECT_THAT(manifest->findings[0].message, HasSubstr("its end is a hole"));
}

}  // namespace
}  // namespace warmset

#include "inspect/inspect.h"

#include <array>
#include <cerrno>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/gguf/test_gguf.h"
#include "inspect/inspect_fixture.h"
#include "os/fault.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(InspectTest, APlainFileIsOneComponentByteForByte) {
  const std::string file = TestSafetensors({{"a", 10}, {"b", 5000}}, R"("__metadata__":{"k":"v"})");
  Write("m.safetensors", file);
  const auto manifest = Inspect(ModelLayout::kFile);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_THAT(Names(*manifest), ElementsAre("model:model"));
  const ComponentManifest& component = manifest->components[0];
  EXPECT_EQ(component.entry_bytes, file.size());
  EXPECT_EQ(component.tensor_count, 2u);
  EXPECT_EQ(component.tensor_bytes, 5010u);
  EXPECT_EQ(EntryOf(*manifest, component), file);
  EXPECT_EQ(TensorsOf(*manifest, component)["a"], file.substr(file.size() - 5010, 10));
  EXPECT_EQ(TensorIndex::Parse(AsBytes(component.tensor_index))->metadata().at("k"), "v");
  EXPECT_EQ(WholeFileComponent(*manifest, 0)->id, component.id);
}

TEST_F(InspectTest, ACheckpointIsSplitByPrefix) {
  // In the order of real checkpoints: parts interleave, odd tensors lie between.
  Write("sdxl.safetensors", TestSafetensors({{"conditioner.embedders.0.transformer.w", 9000},
                                             {"conditioner.embedders.1.model.w", 300'000},
                                             {"first_stage_model.decoder.w", 200'000},
                                             {"model.diffusion_model.input_blocks.0.0.w", 500'001},
                                             {"model.diffusion_model.out.w", 17},
                                             {"alphas_cumprod", 64},
                                             {"first_stage_model.encoder.w", 100},
                                             {"empty", 0}}));
  const auto manifest = Inspect(ModelLayout::kFile);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_THAT(Names(*manifest), ElementsAre("unet:unet", "vae:vae", "text_encoder:text_encoder",
                                            "text_encoder_2:text_encoder", "other:other"));
  EXPECT_EQ(manifest->components[1].runs.size(), 2u);

  const auto whole = WholeFileComponent(*manifest, 0);
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->entry_bytes, manifest->files[0].identity.size);
  auto expected = TensorsOf(*manifest, *whole);
  EXPECT_EQ(expected.size(), 8u);
  std::map<std::string, std::string> parts;
  for (const ComponentManifest& component : manifest->components) {
    EXPECT_NE(component.id, whole->id);
    for (const auto& [name, bytes] : TensorsOf(*manifest, component)) {
      EXPECT_TRUE(parts.emplace(name, bytes).second) << name;
    }
  }
  EXPECT_EQ(parts, expected);
}

TEST_F(InspectTest, DenoisersAreToldApart) {
  Write("flux.safetensors", TestSafetensors({{"model.diffusion_model.double_blocks.0.w", 8},
                                             {"text_encoders.t5xxl.w", 8},
                                             {"text_encoders.clip_l.w", 8},
                                             {"vae.w", 8}}));
  const auto manifest = Inspect(ModelLayout::kFile);
  ASSERT_TRUE(manifest.ok());
  EXPECT_THAT(Names(*manifest),
              ElementsAre("transformer:transformer", "vae:vae", "text_encoder:text_encoder",
                          "text_encoder_2:text_encoder"));
  EXPECT_TRUE(TensorsOf(*manifest, manifest->components[2]).contains("text_encoders.clip_l.w"));
}

struct TypeCase {
  std::vector<std::pair<std::string, uint64_t>> tensors;
  std::string type;
};

TEST_F(InspectTest, TypesOfWholeFiles) {
  const std::vector<TypeCase> cases = {
      {{{"lora_unet_x.lora_down.weight", 4}, {"lora_unet_x.lora_up.weight", 4}}, "lora"},
      {{{"unet.x.lora_A.weight", 4}, {"vae.x.lora_B.weight", 4}}, "lora"},
      {{{"double_blocks.0.w", 4}, {"img_in.w", 4}}, "transformer"},
      {{{"model.diffusion_model.input_blocks.0.w", 4}}, "unet"},
      {{{"first_stage_model.w", 4}}, "vae"},
      {{{"control_model.w", 4}}, "controlnet"},
      {{{"encoder.w", 4}}, "model"},
  };
  for (const TypeCase& test : cases) {
    model_ = {};
    Write("m.safetensors", TestSafetensors(test.tensors));
    const auto manifest = Inspect(ModelLayout::kFile);
    ASSERT_TRUE(manifest.ok());
    EXPECT_THAT(Names(*manifest), ElementsAre("model:" + test.type));
  }
}

TEST_F(InspectTest, ShardsFollowOneAnother) {
  Write("m.safetensors.index.json",
        R"({"metadata":{},"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors"}})");
  Write("m-1.safetensors", TestSafetensors({{"a", 5000}}));
  Write("m-2.safetensors", TestSafetensors({{"b", 123}}));
  const auto manifest = Inspect(ModelLayout::kSharded);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  ASSERT_THAT(Names(*manifest), ElementsAre("model:model"));
  const ComponentManifest& model = manifest->components[0];
  ASSERT_EQ(model.runs.size(), 2u);
  EXPECT_EQ(model.runs[1].entry_offset % 4096, 0u);
  EXPECT_EQ(TensorsOf(*manifest, model)["b"].size(), 123u);

  const auto second = WholeFileComponent(*manifest, 1);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(TensorsOf(*manifest, *second)["b"], TensorsOf(*manifest, model)["b"]);
  EXPECT_EQ(second->tensor_count, 1u);
  EXPECT_EQ(CodeOf(WholeFileComponent(*manifest, 2).status()), ErrorCode::kInvalidRequest);
}

struct ShardCase {
  std::string weight_map;
  ErrorCode code;
  std::string message;
};

TEST_F(InspectTest, AWeightMapThatLiesIsRefused) {
  const std::vector<ShardCase> cases = {
      {R"({"weight_map":{"a":"../m.safetensors"}})", ErrorCode::kUnsafeModel, "leads out"},
      {R"({"weight_map":{"a":"/etc/passwd"}})", ErrorCode::kUnsafeModel, "leads out"},
      {R"({"weight_map":{"a":".."}})", ErrorCode::kUnsafeModel, "leads out"},
      {R"({"weight_map":{"a":""}})", ErrorCode::kCorruptedModel, "no name of a file"},
      {R"({"weight_map":{"a":"m\u0000.safetensors"}})", ErrorCode::kCorruptedModel, "no name of a file"},
      {R"({"weight_map":{"a":1}})", ErrorCode::kCorruptedModel, "no string"},
      {R"({"weight_map":{"a":"m.safetensors","a":"m.safetensors"}})", ErrorCode::kCorruptedModel,
       "twice"},
      {R"({"weight_map":[]})", ErrorCode::kCorruptedModel, "no weight_map"},
      {R"({"weight_map":{}})", ErrorCode::kCorruptedModel, "names no file"},
      {R"([])", ErrorCode::kCorruptedModel, "no weight_map"},
      {R"({"weight_map")", ErrorCode::kCorruptedModel, "index"},
      {R"({"weight_map":{"a":"absent.safetensors"}})", ErrorCode::kIncompleteModel,
       "absent.safetensors"},
      {R"({"weight_map":{"c":"m.safetensors"}})", ErrorCode::kCorruptedModel, "'c' is not in"},
  };
  for (const ShardCase& test : cases) {
    model_ = {};
    Write("m.safetensors.index.json", test.weight_map);
    Write("m.safetensors", TestSafetensors({{"a", 8}}));
    const Status status = Refusal(ModelLayout::kSharded);
    EXPECT_EQ(CodeOf(status), test.code) << test.weight_map << status;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(test.message)) << test.weight_map;
  }
}

// Part `number`, from 1 on, of a split GGUF file.
TestGguf GgufPart(int number, int count) {
  return TestGguf()
      .Set("split.no", static_cast<uint16_t>(number - 1))
      .Set("split.count", static_cast<uint16_t>(count))
      .Set("split.tensors.count", int32_t{count})
      .Tensor("t" + std::to_string(number), {32}, TestGguf::kQ4_0, 18);
}

TEST_F(InspectTest, PartsOfAGgufFileAreOneModel) {
  const std::string second = GgufPart(2, 2).File();
  Write("m-00001-of-00002.gguf", GgufPart(1, 2).Set("general.architecture", "llama").File());
  Write("m-00002-of-00002.gguf", second);
  const auto manifest = Inspect(ModelLayout::kSharded);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  EXPECT_TRUE(manifest->findings.empty());
  EXPECT_EQ(manifest->format, "gguf");
  EXPECT_EQ(manifest->format_version, "3");
  ASSERT_EQ(manifest->components.size(), 1u);
  const ComponentManifest& model = manifest->components[0];
  EXPECT_EQ(model.tensor_count, 2u);
  EXPECT_EQ(model.dtype_bytes, (std::map<std::string, uint64_t>{{"Q4_0", 36}}));
  EXPECT_EQ(TensorsOf(*manifest, model)["t2"], second.substr(second.size() - 32, 18));
  const auto index = TensorIndex::Parse(AsBytes(model.tensor_index));
  EXPECT_EQ(index->metadata().at("general.architecture"), "llama");
  EXPECT_EQ(index->metadata().at("split.no"), "0");
}

TEST_F(InspectTest, PartsOfAGgufFileThatAreMissingOrDoNotFit) {
  Write("m-00001-of-00003.gguf", GgufPart(1, 3).File());
  Write("m-00003-of-00003.gguf", GgufPart(3, 3).File());
  const Status missing = Refusal(ModelLayout::kSharded);
  EXPECT_EQ(CodeOf(missing), ErrorCode::kIncompleteModel);
  EXPECT_THAT(std::string(Message(missing)), HasSubstr("m-00002-of-00003.gguf is not there"));

  Write("m-00002-of-00003.gguf", GgufPart(2, 4).File());
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kSharded)), ErrorCode::kCorruptedModel);

  model_.files.pop_back();
  Write("m-00002-of-00003.gguf", GgufPart(2, 3).File().substr(0, 100));
  const Status cut_off = Refusal(ModelLayout::kSharded);
  EXPECT_EQ(CodeOf(cut_off), ErrorCode::kIncompleteModel);
  EXPECT_THAT(std::string(Message(cut_off)), HasSubstr("m-00002-of-00003.gguf: "));
}

TEST_F(InspectTest, APartOfAGgufFileOnItsOwn) {
  Write("m-00002-of-00002.gguf", GgufPart(2, 2).File());
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kFile)), ErrorCode::kIncompleteModel);

  WriteTestFile(folder_ + "/m-00001-of-00002.gguf", GgufPart(1, 2).File());
  const auto manifest = Inspect(ModelLayout::kFile);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  ASSERT_EQ(manifest->findings.size(), 1u);
  EXPECT_THAT(manifest->findings[0].message, HasSubstr("one of 2 parts"));
  EXPECT_EQ(manifest->components.size(), 1u);
}

TEST_F(InspectTest, ARemovedGgufTypeLeavesTheOtherTensors) {
  Write("m.gguf", TestGguf().Tensor("a", {8}).Tensor("old", {64}, 4, 64).Tensor("b", {8}).File());
  const auto manifest = Inspect(ModelLayout::kFile);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kUnsupported);
  ASSERT_EQ(manifest->components.size(), 1u);
  EXPECT_EQ(manifest->components[0].tensor_count, 2u);
}

TEST_F(InspectTest, AGgufVersionThatIsNotReadIsNamed) {
  Write("m.gguf", TestGguf().Version(1).File());
  const auto manifest = Inspect(ModelLayout::kFile);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kUnsupported);
  EXPECT_EQ(manifest->format, "gguf");
  EXPECT_EQ(manifest->format_version, "1");
}

TEST_F(InspectTest, TensorsThatNoMapNamesAreLeftOutWithAWarning) {
  Write("m.safetensors.index.json", R"({"weight_map":{"a":"m.safetensors"}})");
  Write("m.safetensors", TestSafetensors({{"a", 8}, {"extra", 8}}));
  const auto manifest = Inspect(ModelLayout::kSharded);
  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->components[0].tensor_count, 1u);
  ASSERT_EQ(manifest->findings.size(), 1u);
  EXPECT_THAT(manifest->findings[0].message, HasSubstr("'extra'"));
}

TEST_F(InspectTest, APointerInPlaceOfTheWeightsIsIncomplete) {
  Write("m.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
  const Status status = Refusal(ModelLayout::kFile);
  EXPECT_EQ(CodeOf(status), ErrorCode::kIncompleteModel);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("git lfs pull"));
}

TEST_F(InspectTest, ATransformersFolder) {
  Write("config.json", R"({"architectures":["LlamaForCausalLM"],"model_type":"llama"})");
  Write("model.safetensors", TestSafetensors({{"model.embed", 8}}));
  Write("model.fp16.safetensors", TestSafetensors({{"model.embed", 4}}));
  const auto manifest = Inspect(ModelLayout::kTransformers);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->kind, "llm");
  EXPECT_EQ(manifest->architecture().name, "llama");
  EXPECT_THAT(Names(*manifest), ElementsAre("model:llm", "model.fp16:llm"));
}

TEST_F(InspectTest, ABrokenConfigIsAFinding) {
  Write("config.json", "{");
  Write("model.safetensors", TestSafetensors({{"w", 8}}));
  const auto manifest = Inspect(ModelLayout::kTransformers);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->architecture().name, "");
  ASSERT_EQ(manifest->findings.size(), 1u);
  EXPECT_EQ(manifest->findings[0].path, "config.json");
}

TEST_F(InspectTest, AConfigThatAsksForCodeIsAWarning) {
  Write("config.json", R"({"model_type":"x","auto_map":{"AutoModel":"modeling_x.XModel"}})");
  Write("model.safetensors", TestSafetensors({{"w", 8}}));
  const auto manifest = Inspect(ModelLayout::kTransformers);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  ASSERT_EQ(manifest->findings.size(), 1u);
  EXPECT_EQ(manifest->findings[0].category, FindingCategory::kUnsafeContent);
  EXPECT_THAT(manifest->findings[0].message, HasSubstr("auto_map"));
}

TEST_F(InspectTest, APipelineWhoseTensorsAreOthersIsAWarning) {
  Write("model_index.json", R"({"_class_name":"FluxPipeline",
        "transformer":["diffusers","FluxTransformer2DModel"]})");
  Write("transformer/config.json", R"({"_class_name":"AutoencoderKL"})");
  Write("transformer/diffusion_pytorch_model.safetensors", TestSafetensors({{"w", 8}}));
  const auto manifest = Inspect(ModelLayout::kDiffusers);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  EXPECT_EQ(manifest->architecture().name, "flux.1");
  ASSERT_EQ(manifest->findings.size(), 1u);
  EXPECT_THAT(manifest->findings[0].message, HasSubstr("its config.json AutoencoderKL"));
}

TEST_F(InspectTest, AStandaloneDiffusersPartHasItsType) {
  Write("config.json", R"({"_class_name":"AutoencoderKL"})");
  Write("diffusion_pytorch_model.safetensors", TestSafetensors({{"decoder.w", 8}}));
  EXPECT_THAT(Names(*Inspect(ModelLayout::kTransformers)), ElementsAre("model:vae"));
}

TEST_F(InspectTest, ADiffusersFolder) {
  Write("model_index.json", R"({"_class_name":"StableDiffusionXLPipeline","_diffusers_version":"1",
        "unet":["diffusers","UNet2DConditionModel"],"vae":["diffusers","AutoencoderKL"],
        "text_encoder":["transformers","CLIPTextModel"],
        "text_encoder_2":["transformers","SomeForCausalLM"],"scheduler":["diffusers","DDIMScheduler"],
        "tokenizer":["transformers","CLIPTokenizer"],"image_encoder":[null,null],
        "force_zeros":true})");
  Write("unet/config.json", "{}");
  Write("unet/diffusion_pytorch_model.safetensors.index.json",
        R"({"weight_map":{"u1":"diffusion_pytorch_model-00001-of-00002.safetensors",
                          "u2":"diffusion_pytorch_model-00002-of-00002.safetensors"}})");
  Write("unet/diffusion_pytorch_model-00001-of-00002.safetensors", TestSafetensors({{"u1", 8}}));
  Write("unet/diffusion_pytorch_model-00002-of-00002.safetensors", TestSafetensors({{"u2", 8}}));
  Write("unet/diffusion_pytorch_model.fp16.safetensors", TestSafetensors({{"u1", 4}}));
  Write("text_encoder/model.fp16.safetensors", TestSafetensors({{"t", 8}}));
  Write("text_encoder_2/model.safetensors", TestSafetensors({{"t", 8}}));
  Write("extra/model.safetensors", TestSafetensors({{"x", 8}}));
  const auto manifest = Inspect(ModelLayout::kDiffusers);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->kind, "pipeline");
  EXPECT_EQ(manifest->architecture().name, "sdxl");
  EXPECT_THAT(Names(*manifest),
              ElementsAre("text_encoder:text_encoder", "text_encoder_2:text_encoder", "unet:unet",
                          "unet.fp16:unet"));
  ASSERT_EQ(manifest->findings.size(), 2u);
  EXPECT_EQ(manifest->findings[0].path, "extra");
  EXPECT_EQ(manifest->findings[0].verdict, Verdict::kOk);
  EXPECT_EQ(manifest->findings[1].path, "vae");
  EXPECT_EQ(manifest->findings[1].verdict, Verdict::kIncomplete);
}

TEST_F(InspectTest, APipelineRunsWithoutItsSafetyChecker) {
  Write("model_index.json", R"({"_class_name":"StableDiffusionPipeline",
        "safety_checker":["stable_diffusion","StableDiffusionSafetyChecker"],
        "unet":["diffusers","UNet2DConditionModel"]})");
  Write("unet/diffusion_pytorch_model.safetensors", TestSafetensors({{"u", 8}}));
  const auto manifest = Inspect(ModelLayout::kDiffusers);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  EXPECT_EQ(manifest->findings.size(), 1u);
}

TEST_F(InspectTest, AConfigWithoutWeightsIsIncomplete) {
  Write("config.json", R"({"architectures":["LlamaForCausalLM"]})");
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kTransformers)), ErrorCode::kIncompleteModel);
  model_ = {};
  Write("config.json", R"({"port":80})");
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kTransformers)), ErrorCode::kUnrecognizedFormat);
  model_ = {};
  Write("model_index.json", "{}");
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kDiffusers)), ErrorCode::kIncompleteModel);
}

TEST_F(InspectTest, TheHubsRefusalSaysWhyWeightsAreMissing) {
  Write(".error.json", R"({"error_code":"GatedRepo","http_status":403,"repo":"org/name"})");
  Write("config.json", R"({"model_type":"llama"})");
  const Status status = Refusal(ModelLayout::kTransformers);
  EXPECT_EQ(CodeOf(status), ErrorCode::kAccessRestricted);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("https://huggingface.co/org/name"));

  // What is there can be used in spite of an old refusal.
  Write("model.safetensors", TestSafetensors({{"w", 8}}));
  EXPECT_EQ(Inspect(ModelLayout::kTransformers)->verdict(), Verdict::kOk);
}

TEST_F(InspectTest, ABrokenRecordOfARefusalIsAWarning) {
  Write(".error.json", "{");
  Write("config.json", R"({"model_type":"llama"})");
  EXPECT_EQ(Inspect(ModelLayout::kTransformers)->verdict(), Verdict::kIncomplete);
}

TEST_F(InspectTest, PartsThatTheirNumbersPromise) {
  Write("model-00001-of-00002.safetensors", TestSafetensors({{"a", 8}}));
  const Status status = Refusal(ModelLayout::kSharded);
  EXPECT_EQ(CodeOf(status), ErrorCode::kIncompleteModel);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("model-00002-of-00002.safetensors"));
  Write("model-00002-of-00002.safetensors", TestSafetensors({{"b", 8}}));
  const auto manifest = Inspect(ModelLayout::kSharded);
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  EXPECT_EQ(manifest->components[0].tensor_count, 2u);
}

class OllamaTest : public InspectTest {
 protected:
  static std::string Digits(char digit) { return std::string(64, digit); }

  void WriteManifest(const std::vector<std::array<std::string, 3>>& layers) {
    std::string json;
    for (const auto& [type, digest, size] : layers) {
      json += json.empty() ? "" : ",";
      json += R"({"mediaType":"application/vnd.ollama.image.)" + type + R"(","digest":")" + digest +
              R"(","size":)" + size + "}";
    }
    Write("manifests/registry.ollama.ai/library/llama3/8b",
          R"({"schemaVersion":2,"layers":[)" + json + "]}");
  }
  std::string WriteBlob(char digit, const std::string& content) {
    Write("blobs/sha256-" + Digits(digit), content, "sha256:" + Digits(digit));
    return std::to_string(content.size());
  }
};

// Any format will do: blobs are told by their content.
TEST_F(OllamaTest, ALayerOfTensorsIsAComponent) {
  const std::string weights = TestSafetensors({{"w", 8}});
  const std::string size = std::to_string(weights.size());
  WriteManifest({{"model", "sha256:" + Digits('a'), size},
                 {"template", "sha256:" + Digits('b'), "5"},
                 {"adapter", "sha256:" + Digits('c'), size},
                 {"adapter", "sha256:" + Digits('d'), size}});
  for (const char digit : {'a', 'c', 'd'}) WriteBlob(digit, weights);
  WriteBlob('b', "hello");
  const auto manifest = Inspect(ModelLayout::kOllama);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  EXPECT_THAT(Names(*manifest), ElementsAre("model:model", "adapter:lora", "adapter_2:lora"));
  EXPECT_EQ(manifest->files[0].claimed_hash, "sha256:" + Digits('a'));
}

TEST_F(OllamaTest, WhatIsWrongWithBlobs) {
  WriteManifest({{"model", "sha256:" + Digits('a'), "10"}});
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kOllama)), ErrorCode::kIncompleteModel);
  WriteBlob('a', "short");
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kOllama)), ErrorCode::kIncompleteModel);
  model_.files.pop_back();
  WriteBlob('a', "more than ten");
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kOllama)), ErrorCode::kCorruptedModel);
  model_ = {};
  WriteManifest({{"model", "sha256:../../../../../etc/passwd", "10"}});
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kOllama)), ErrorCode::kUnsafeModel);
  model_ = {};
  WriteManifest({});
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kOllama)), ErrorCode::kUnrecognizedFormat);
}

TEST_F(InspectTest, AModelIndexThatLeadsOutIsRefused) {
  Write("model_index.json", R"({"../unet":["diffusers","UNet2DConditionModel"]})");
  EXPECT_EQ(CodeOf(Refusal(ModelLayout::kDiffusers)), ErrorCode::kUnsafeModel);
}

TEST_F(InspectTest, IdsFollowTheFileNotItsPlaceOrItsClaim) {
  const std::string content = TestSafetensors({{"w", 8}});
  const auto id_of = [&] { return Inspect(ModelLayout::kFile)->components[0].id; };
  Write("a.safetensors", content);
  const ComponentId first = id_of();
  EXPECT_EQ(id_of(), first);

  std::filesystem::create_hard_link(folder_ + "/a.safetensors", folder_ + "/b.safetensors");
  model_.files = {{"b.safetensors", *os::IdentifyPath(folder_ + "/b.safetensors"), ""}};
  EXPECT_EQ(id_of(), first);

  model_ = {};
  Write("copy.safetensors", content);
  EXPECT_NE(id_of(), first);

  model_ = {};
  Write("hub1.safetensors", content, "sha256:" + std::string(64, 'a'));
  const ComponentId blob = id_of();
  model_.files[0].claimed_hash = "sha256:" + std::string(64, 'b');
  EXPECT_EQ(id_of(), blob);
  model_ = {};
  Write("hub2.safetensors", content, "sha256:" + std::string(64, 'a'));
  EXPECT_NE(id_of(), blob);
}

TEST_F(InspectTest, AFileReplacedMeanwhileIsNotedAsChanged) {
  Write("m.safetensors", TestSafetensors({{"w", 8}}));
  before_open_ = [&](const std::string&) {
    WriteTestFile(folder_ + "/new", TestSafetensors({{"w", 9}}));
    std::filesystem::rename(folder_ + "/new", folder_ + "/m.safetensors");
  };
  EXPECT_EQ(CodeOf(Inspect(ModelLayout::kFile).status()), ErrorCode::kFileChanged);
}

TEST_F(InspectTest, FailedCallsAreErrorsOfTheFile) {
  Write("m.safetensors", TestSafetensors({{"w", 8}}));
  for (const char* call : {"open", "pread", "fstat"}) {
    os::ArmFault({.call = call, .error_number = EIO});
    const Status status = Inspect(ModelLayout::kFile).status();
    os::DisarmFault();
    EXPECT_EQ(CodeOf(status), ErrorCode::kIoError) << call;
  }
}

TEST_F(InspectTest, APassedDescriptorIsInspectedToo) {
  Write("m.safetensors", TestSafetensors({{"w", 8}}));
  const auto fd = Open("m.safetensors");
  const auto encoded = InspectFile(fd->get(), "theirs.safetensors");
  ASSERT_TRUE(encoded.ok()) << encoded.status();
  const auto manifest = DecodeManifest(*encoded);
  EXPECT_EQ(manifest->files[0].path, "theirs.safetensors");
  EXPECT_EQ(manifest->components[0].id, Inspect(ModelLayout::kFile)->components[0].id);
  const auto folder = os::OpenDirectory(folder_);
  EXPECT_EQ(CodeOf(InspectFile(folder->get(), "x").status()), ErrorCode::kInvalidRequest);
}

TEST_F(InspectTest, AFileWithoutTensorsIsFine) {
  Write("m.safetensors", TestSafetensors({}));
  const auto manifest = Inspect(ModelLayout::kFile);
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->verdict(), Verdict::kOk);
  EXPECT_TRUE(manifest->components.empty());
}

}  // namespace
}  // namespace warmset

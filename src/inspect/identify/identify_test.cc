#include "inspect/identify/identify.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "inspect/identify/rule_book.h"
#include "inspect/identify/tensor_parts.h"
#include "inspect/identify/test_models.h"

namespace warmset {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_P(IdentifyModelTest, IsWhatItIs) {
  const ModelCase& test = GetParam();
  const TensorTable table = TableOf(test.tensors);
  const TensorTable* const tables[] = {&table};
  const Identification found = Identify({.tensors = tables,
                                         .format = "safetensors",
                                         .metadata = &test.metadata,
                                         .file_name = test.file_name});
  EXPECT_EQ(found.kind, test.kind);
  std::vector<std::string> names;
  for (const Architecture& each : found.architectures) {
    if (!each.name.empty()) names.push_back(each.name);
    EXPECT_FALSE(each.evidence.empty()) << each.name;
    EXPECT_GE(each.confidence, 0);
    EXPECT_LT(each.confidence, 1);
  }
  EXPECT_EQ(names, test.architectures);
  EXPECT_EQ(found.requires_models, test.needs);
  EXPECT_THAT(found.disagreements, IsEmpty());
}

Identification IdentifyTensors(const TestTensors& tensors, ModelEvidence evidence = {}) {
  const TensorTable table = TableOf(tensors);
  const TensorTable* const tables[] = {&table};
  evidence.tensors = tables;
  return Identify(evidence);
}

TEST(IdentifyTest, EvidenceNamesKeysAndShapes) {
  const Identification found = IdentifyTensors(Unet(768, 9));
  ASSERT_EQ(found.architectures.size(), 1u);
  EXPECT_THAT(found.architectures[0].evidence,
              ElementsAre("input_blocks.0.0.weight [320, 9, 3, 3]",
                          "input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight [320, 768]"));
}

TEST(IdentifyTest, MoreEvidenceIsMoreConfidence) {
  const auto ambiguous =
      IdentifyTensors(Kohya("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072));
  ASSERT_EQ(ambiguous.architectures.size(), 2u);
  EXPECT_LT(ambiguous.architectures[0].confidence, 0.75);
  EXPECT_GE(ambiguous.architectures[0].confidence, ambiguous.architectures[1].confidence);
  const auto clear = IdentifyTensors(Kohya("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288) +
                                     Kohya("lora_unet_double_blocks_0_img_mod_lin", 3072, 18432));
  EXPECT_GT(clear.architectures[0].confidence, 0.9);
  EXPECT_THAT(clear.architectures[0].evidence[0], HasSubstr("kohya"));
}

TEST(IdentifyTest, ACheckpointNeedsWhatIsNotInIt) {
  const TestTensors unet = Prefixed("model.diffusion_model.", Unet(768));
  const TestTensors vae = Prefixed("first_stage_model.", Vae({512, 4, 3, 3}));
  const TestTensors text = Prefixed("cond_stage_model.transformer.", Clip(11));
  const Identification without_text = IdentifyTensors(unet + vae);
  EXPECT_EQ(without_text.kind, "checkpoint");
  EXPECT_THAT(without_text.requires_models, ElementsAre("text_encoder"));
  const Identification whole = IdentifyTensors(unet + vae + text);
  EXPECT_EQ(whole.kind, "checkpoint");
  EXPECT_EQ(whole.architectures[0].name, "sd1");
  EXPECT_THAT(whole.requires_models, IsEmpty());
}

TEST(IdentifyTest, AGraphIsAModel) {
  EXPECT_EQ(IdentifyTensors(Unet(768), {.format = "onnx"}).kind, "model");
}

TEST(IdentifyTest, ADdufArchiveIsAPipeline) {
  const std::map<std::string, std::string> metadata = {{"_class_name", "FluxPipeline"}};
  const Identification found =
      IdentifyTensors(Prefixed("transformer/", HubFlux(64)) + Prefixed("text_encoder/", Clip(11)),
                      {.format = "dduf", .metadata = &metadata});
  EXPECT_EQ(found.kind, "pipeline");
  EXPECT_EQ(found.architectures[0].name, "flux.1-dev");
  EXPECT_EQ(IdentifyTensors({{"unet/w", {1}}}, {.format = "dduf", .metadata = &metadata})
                .architectures[0]
                .name,
            "flux.1");
}

struct ConfigCase {
  std::string class_name;
  std::string model_type;
  TestTensors tensors;
  std::string kind;
  std::string architecture;
};

TEST(IdentifyTest, ConfigurationsOfFolders) {
  const std::vector<ConfigCase> cases = {
      {"LlamaForCausalLM", "llama", Llm({}, 4096), "llm", "llama"},
      {"MistralForCausalLM", "mistral", Llm({}, 4096), "llm", "mistral"},
      {"Qwen3ForCausalLM", "qwen3", Llm(kQNorm, 2560), "llm", "qwen3-4b"},
      {"GPT2LMHeadModel", "gpt2", {{"h.0.attn.c_attn.weight", {8, 24}}}, "llm", "gpt2"},
      {"CLIPTextModel", "clip_text_model", Clip(11), "text_encoder", "clip-l"},
      {"CLIPTextModelWithProjection", "", Clip(1), "text_encoder", "clip-l"},
      {"T5EncoderModel", "t5", T5(4096), "text_encoder", "t5-xxl"},
      {"BertModel",
       "bert",
       {{"embeddings.word_embeddings.weight", {9, 8}}},
       "text_encoder",
       "bert"},
      {"CLIPVisionModelWithProjection",
       "clip_vision_model",
       {{"vision_model.x", {1}}},
       "clip_vision",
       "clip-vision"},
      {"ViTForImageClassification", "vit", {{"vit.x", {1}}}, "vision", "vit"},
      {"WhisperForConditionalGeneration", "whisper", {{"model.x", {1}}}, "audio", "whisper"},
      {"Qwen2_5_VLForConditionalGeneration",
       "qwen2_5_vl",
       {{"visual.x", {1}}},
       "llm",
       "qwen2.5-vl"},
      {"FluxTransformer2DModel", "", {{"x", {1}}}, "diffusion_model", "flux.1"},
      {"FluxTransformer2DModel", "", HubFlux(64), "diffusion_model", "flux.1-dev"},
      {"UNet2DConditionModel", "", HubUnet("down_blocks.0", 1024), "diffusion_model", "sd2"},
      {"AutoencoderKL", "", Vae({512, 32, 3, 3}), "vae", "flux.2-vae"},
      {"AutoencoderTiny", "", {{"x", {1}}}, "vae_approx", "taesd"},
      {"ControlNetModel", "", HubUnet("down_blocks.0", 768) + kCondition, "controlnet", "sd1"},
      {"", "falcon", {{"x", {1}}}, "llm", "falcon"},
      {"SomethingNew", "", {{"x", {1}}}, "model", "SomethingNew"},
      {"AutoencoderKL", "", {{"decoder.w", {8}}}, "vae", "AutoencoderKL"},
      {"bad\nclass", "", {{"x", {1}}}, "model", ""},
  };
  for (const ConfigCase& test : cases) {
    SCOPED_TRACE(test.class_name + " " + test.model_type);
    const Identification found = IdentifyTensors(
        test.tensors, {.class_name = test.class_name, .model_type = test.model_type});
    EXPECT_EQ(found.kind, test.kind);
    EXPECT_EQ(found.architectures.empty() ? "" : found.architectures[0].name, test.architecture);
    EXPECT_THAT(found.disagreements, IsEmpty());
  }
}

TEST(IdentifyTest, TensorsThatDisagreeWithTheConfigurationAreNoted) {
  const Identification found = IdentifyTensors(Unet(768), {.class_name = "AutoencoderKL"});
  EXPECT_EQ(found.kind, "vae");
  ASSERT_EQ(found.disagreements.size(), 1u);
  EXPECT_THAT(found.disagreements[0], HasSubstr("AutoencoderKL, but the tensors"));
}

TEST(IdentifyTest, ALanguageModelInAPipelineIsItsTextEncoder) {
  const Identification found = IdentifyTensors(
      Llm(kQNorm, 2560), {.class_name = "Qwen3ForCausalLM", .folder = "text_encoder"});
  EXPECT_EQ(found.type, "text_encoder");
  EXPECT_EQ(found.architectures[0].name, "qwen3-4b");
  EXPECT_EQ(IdentifyTensors({{"x", {1}}}, {.class_name = "Odd", .folder = "image_encoder_2"}).type,
            "image_encoder");
}

TEST(IdentifyTest, Pipelines) {
  struct PipelineCase {
    std::string class_name;
    TestTensors denoiser;
    std::string component;
    std::vector<std::string> architectures;
    size_t disagreements = 0;
  };
  const std::vector<PipelineCase> cases = {
      {"StableDiffusionPipeline", {}, "UNet2DConditionModel", {"sd1", "sd2"}},
      {"StableDiffusionPipeline", HubUnet("down_blocks.0", 1024), "UNet2DConditionModel", {"sd2"}},
      {"StableDiffusionInpaintPipeline",
       HubUnet("down_blocks.0", 768, 9),
       "UNet2DConditionModel",
       {"sd1-inpaint"}},
      {"StableDiffusionXLPipeline", {}, "UNet2DConditionModel", {"sdxl"}},
      {"StableDiffusion3Pipeline", HubSd3(37), "SD3Transformer2DModel", {"sd3.5-large"}},
      {"FluxPipeline", {}, "FluxTransformer2DModel", {"flux.1"}},
      {"FluxPipeline", HubFlux(64, false), "FluxTransformer2DModel", {"flux.1-schnell"}},
      {"FluxFillPipeline", HubFlux(384), "FluxTransformer2DModel", {"flux.1-fill"}},
      {"WanPipeline", HubWan(3072, 48), "WanTransformer3DModel", {"wan2.2-ti2v-5b"}},
      {"QwenImageEditPipeline", QwenImage(), "QwenImageTransformer2DModel", {"qwen-image-edit"}},
      {"NewPipeline", HubFlux(64), "FluxTransformer2DModel", {"flux.1-dev"}},
      {"NewPipeline", {}, "NewTransformer2DModel", {"NewPipeline"}},
      {"StableDiffusionXLPipeline",
       HubUnet("down_blocks.0", 768),
       "UNet2DConditionModel",
       {"sd1", "sdxl"},
       1},
  };
  for (const PipelineCase& test : cases) {
    SCOPED_TRACE(test.class_name + " " + test.component);
    std::vector<PipelinePart> parts;
    parts.push_back({"text_encoder", {}});
    Identification part =
        IdentifyTensors(test.denoiser, {.class_name = test.component, .folder = "transformer"});
    parts.push_back({part.type, std::move(part)});
    const Identification found = IdentifyPipeline(test.class_name, parts);
    EXPECT_EQ(found.kind, "pipeline");
    std::vector<std::string> names;
    for (const Architecture& each : found.architectures) names.push_back(each.name);
    EXPECT_EQ(names, test.architectures);
    EXPECT_EQ(found.disagreements.size(), test.disagreements);
  }
}

// "name:type" of each component.
std::vector<std::string> Groups(const TestTensors& tensors,
                                std::string_view format = "safetensors") {
  const Identification found = IdentifyTensors(tensors, {.format = format});
  if (found.groups.empty()) return {"model:" + found.type};
  std::vector<std::string> names;
  size_t members = 0;
  for (const TensorGroup& group : found.groups) {
    names.push_back(group.name + ":" + group.type);
    members += group.tensors.size();
  }
  EXPECT_EQ(members, tensors.size());
  return names;
}

TEST(TensorGroupsTest, CheckpointsComeApart) {
  const TestTensors xl = Prefixed("model.diffusion_model.", UnetXl()) +
                         Prefixed("first_stage_model.", Vae({512, 4, 3, 3})) +
                         Prefixed("conditioner.embedders.1.model.", {{"ln_final.weight", {1280}}}) +
                         Prefixed("conditioner.embedders.0.transformer.", Clip(11)) +
                         TestTensors{{"alphas_cumprod", {1000}}} +
                         Prefixed("model_ema.", {{"diffusion_modelinput_blocks00weight", {1, 1}}});
  EXPECT_THAT(Groups(xl), ElementsAre("unet:unet", "vae:vae", "text_encoder:text_encoder",
                                      "text_encoder_2:text_encoder", "other:other", "ema:ema"));
  EXPECT_EQ(Groups(Prefixed("state_dict.", xl)), Groups(xl));
  for (const auto& [denoiser, type] : {std::pair{Flux(64), "transformer"},
                                       {Wan(5120, 16), "transformer"},
                                       {Sd3(36864, 2432, 37), "transformer"}}) {
    const TestTensors checkpoint = Prefixed("model.diffusion_model.", denoiser) +
                                   Prefixed("vae.", Vae({512, 16, 3, 3})) +
                                   Prefixed("text_encoders.t5xxl.transformer.", T5(4096)) +
                                   Prefixed("text_encoders.clip_l.transformer.", Clip(11));
    EXPECT_THAT(Groups(checkpoint),
                ElementsAre(std::string(type) + ":" + type, "vae:vae", "text_encoder:text_encoder",
                            "text_encoder_2:text_encoder"));
  }
}

TEST(TensorGroupsTest, TheRestIsNamedByWhatItIs) {
  EXPECT_THAT(Groups(Prefixed("net.", Wan(5120, 16)) + Prefixed("vae.", Vae({512, 16, 3, 3}))),
              ElementsAre("vae:vae", "transformer:transformer"));
}

TEST(TensorGroupsTest, ADdufArchiveComesApartByFolder) {
  EXPECT_THAT(
      Groups(Prefixed("transformer/", HubFlux(64)) + Prefixed("vae/", Vae({512, 16, 3, 3})) +
                 Prefixed("text_encoder/", Clip(11)) + Prefixed("text_encoder_2/", T5(4096)),
             "dduf"),
      ElementsAre("text_encoder:text_encoder", "text_encoder_2:text_encoder",
                  "transformer:transformer", "vae:vae"));
  EXPECT_THAT(Groups({{"a/w", {1}}, {"b/w", {1}}}), ElementsAre("model:model"));
}

TEST(TensorGroupsTest, ALoraStaysTogether) {
  EXPECT_THAT(Groups(Peft("diffusion_model.blocks.0.self_attn.q", 5120, 5120) +
                     Peft("text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.k",
                          64, 64)),
              ElementsAre("model:lora"));
}

TEST(TensorGroupsTest, ALargeNumberOfPartsIsNoReasonToMakeThem) {
  TestTensors tensors;
  for (int i = 0; i < 5000; ++i)
    tensors.push_back({"text_encoders.x" + std::to_string(i) + ".w", {1}});
  EXPECT_LE(Groups(tensors).size(), 33u);
}

TEST(RulesTest, AllCanBeRead) {
  EXPECT_THAT(TensorRules().mistakes(), IsEmpty());
  EXPECT_THAT(LayerRules().mistakes(), IsEmpty());
}

TEST(RulesTest, TypesAreKnown) {
  for (const RuleTable& table : {DenoiserRules(), EncoderRules(), AdapterRules(), LoraRules()}) {
    for (const ModelRule& rule : table.models) {
      EXPECT_EQ(RowOfType(rule.type).type, rule.type) << rule.when;
      EXPECT_GT(rule.confidence, 0);
      EXPECT_LT(rule.confidence, 1);
    }
  }
}

TEST(OverrideTest, TheUsersWordComesFirst) {
  Manifest manifest;
  manifest.kind = "lora";
  manifest.architectures = {{"flux.1", .6, {"a"}}, {"flux.2-klein-4b", .5, {"b"}}};
  manifest.requires_models = {"flux.1"};
  ApplyOverride({}, manifest);
  EXPECT_EQ(manifest.architecture().name, "flux.1");

  ApplyOverride({.kind = "", .architecture = "flux.2-klein-4b"}, manifest);
  EXPECT_EQ(manifest.kind, "lora");
  EXPECT_EQ(manifest.architecture(), (Architecture{"flux.2-klein-4b", 1, {"set by the user"}}));
  EXPECT_EQ(manifest.architectures.size(), 2u);
  EXPECT_THAT(manifest.requires_models, ElementsAre("flux.2-klein-4b"));

  ApplyOverride({.kind = "upscaler", .architecture = ""}, manifest);
  EXPECT_EQ(manifest.kind, "upscaler");
  EXPECT_THAT(manifest.requires_models, IsEmpty());
}

TEST(OverrideTest, IsChecked) {
  EXPECT_THAT(ModelKinds(), Contains("checkpoint"));
  EXPECT_THAT(ModelKinds(), Contains("clip_vision"));
  EXPECT_THAT(
      std::string(Message(ValidateOverride({.kind = "lorra", .architecture = ""}))),
      ::testing::HasSubstr("there is no kind 'lorra'; the nearest is 'lora'; write one of "));
  EXPECT_THAT(ModelArchitectures(), Contains("sdxl"));
  EXPECT_TRUE(IsKnownArchitecture("sdxl"));
  EXPECT_TRUE(IsKnownArchitecture("sdxl-inpaint"));
  EXPECT_FALSE(IsKnownArchitecture("sdxl-inpaintt"));
  EXPECT_FALSE(IsKnownArchitecture(""));
  EXPECT_TRUE(ValidateOverride({.kind = "style_model", .architecture = "mine"}).ok());
  EXPECT_EQ(CodeOf(ValidateOverride({.kind = "stile_model", .architecture = ""})),
            ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(ValidateOverride({.kind = "", .architecture = "a\x1b"})),
            ErrorCode::kInvalidRequest);
}

TEST(IdentifyTest, PeftsConfigurationNamesTheBase) {
  const TestTensors tensors = Peft("base_model.model.model.layers.0.self_attn.q_proj", 4096, 4096);
  const Identification found =
      IdentifyTensors(tensors, {.adapter_base = "meta-llama/Meta-Llama-3-8B", .peft_type = "LORA"});
  EXPECT_EQ(found.kind, "lora");
  ASSERT_FALSE(found.architectures.empty());
  EXPECT_EQ(found.architectures[0].name, "llama");
  EXPECT_THAT(found.requires_models, ElementsAre("meta-llama/Meta-Llama-3-8B"));
  const Identification gemma =
      IdentifyTensors(tensors, {.adapter_base = "google/gemma-2-9b", .peft_type = "LORA"});
  EXPECT_EQ(gemma.architectures[0].name, "gemma2");
}

TEST(IdentifyTest, PeftsOtherAdaptersAreAdapters) {
  const Identification prompts =
      IdentifyTensors({{"prompt_embeddings", {20, 4096}}},
                      {.adapter_base = "org/Mistral-7B-v0.1", .peft_type = "PROMPT_TUNING"});
  EXPECT_EQ(prompts.kind, "embedding");
  EXPECT_THAT(prompts.requires_models, ElementsAre("org/Mistral-7B-v0.1"));
  const Identification vera =
      IdentifyTensors({{"base_model.vera_A", {256, 4096}}, {"base_model.vera_B", {4096, 256}}},
                      {.adapter_base = "/models/mine", .peft_type = "VERA"});
  EXPECT_EQ(vera.kind, "lora");
  EXPECT_THAT(vera.requires_models, ElementsAre("/models/mine"));
}

TEST(IdentifyTest, PeftsNamesAreThoseOfAdapters) {
  const std::string layer = "base_model.model.model.layers.0.self_attn.q_proj.";
  for (const std::string suffix :
       {"ia3_l", "boft_R", "oft_R.weight", "vera_lambda_b", "hra_u", "c3a_kernel", "road_theta",
        "fourierft_spectrum", "randlora_lambda", "miss_block", "trainable_tokens_delta"}) {
    const Identification found = IdentifyTensors({{layer + suffix, {64, 1}}});
    EXPECT_EQ(found.kind, "lora") << suffix;
  }
  EXPECT_EQ(IdentifyTensors({{"prompt_embeddings", {20, 4096}}}).kind, "embedding");
}

TEST(IdentifyTest, WholeLayersInAPeftFolderAreItsBaseAtMost) {
  const Identification found =
      IdentifyTensors(Llm({}, 4096), {.adapter_base = "/models/mine", .peft_type = "LN_TUNING"});
  EXPECT_EQ(found.kind, "lora");
  ASSERT_FALSE(found.architectures.empty());
  EXPECT_LE(found.architectures[0].confidence, 0.6);
  EXPECT_THAT(found.requires_models, ElementsAre("/models/mine"));
}

TEST(IdentifyTest, LayersOfManyModelsTellABaseThatIsAGuess) {
  const std::string layer = "base_model.model.model.layers.0.self_attn.";
  const Identification found =
      IdentifyTensors(Peft(layer + "q_proj", 4096, 4096) + Peft(layer + "k_proj", 4096, 1024));
  EXPECT_EQ(found.kind, "lora");
  ASSERT_FALSE(found.architectures.empty());
  EXPECT_EQ(found.architectures[0].name, "llama");
  EXPECT_LT(found.architectures[0].confidence, 0.5);
}

TEST(IdentifyTest, GgufNamesItsArchitecture) {
  struct GgufCase {
    std::string word;
    std::string kind;
    std::string name;
  };
  for (const GgufCase& test : {
           GgufCase{"nomic-bert", "text_encoder", "nomic-bert"},
           GgufCase{"gemma-embedding", "text_encoder", "gemma-embedding"},
           GgufCase{"t5encoder", "text_encoder", "t5"},
           GgufCase{"wavtokenizer-dec", "audio", "wavtokenizer-dec"},
           GgufCase{"granitehybrid", "llm", "granitehybrid"},
           GgufCase{"aura", "diffusion_model", "auraflow"},
           GgufCase{"sdxl", "diffusion_model", "sdxl"},
           GgufCase{"hyvid", "diffusion_model", "hunyuan-video"},
           GgufCase{"clip", "clip_vision", ""}, GgufCase{"pig", "model", ""},  // says nothing
       }) {
    const std::map<std::string, std::string> metadata = {{"general.architecture", test.word}};
    const Identification found =
        IdentifyTensors({{"some.weight", {8, 8}}}, {.metadata = &metadata});
    EXPECT_EQ(found.kind, test.kind) << test.word;
    EXPECT_EQ(found.architectures.empty() ? "" : found.architectures[0].name, test.name)
        << test.word;
  }
}

TEST(IdentifyTest, AnUnknownPipelineOfAKnownModelIsUncertain) {
  Identification denoiser;
  denoiser.type = "unet";
  denoiser.architectures = {{"sdxl", 0.95, {"a size"}}};
  const PipelinePart parts[] = {{"unet", denoiser}};
  const Identification found = IdentifyPipeline("NeverHeardOfPipeline", parts);
  ASSERT_FALSE(found.architectures.empty());
  EXPECT_EQ(found.architectures[0].name, "sdxl");
  EXPECT_LT(found.architectures[0].confidence, 0.8);
}

TEST(IdentifyTest, TheLayersOfALoraThatNoRuleKnowsTellItsBase) {
  const Identification found =
      IdentifyTensors(Peft("transformer.transformer_blocks.0.attn1.to_q", 3072, 3072) +
                      Peft("transformer.transformer_blocks.0.attn1.norm_added_q", 3072, 3072));
  ASSERT_FALSE(found.architectures.empty());
  EXPECT_LE(found.architectures[0].confidence, 0.6);
}

}  // namespace
}  // namespace warmset

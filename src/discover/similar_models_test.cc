#include "discover/similar_models.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(SimilarModelsTest, NamesWithoutFormatAndPrecision) {
  for (const char* name :
       {"org/Llama-3-8B-Instruct-GGUF/llama-3-8b-instruct.Q4_K_M.gguf", "llama3:8b-instruct-fp16",
        "org/Llama-3-8B-Instruct", "llama-3-8b-instruct-IQ2_XXS.gguf",
        "org/Llama-3-8B-Instruct/model.safetensors", "Llama-3-8B-Instruct-AWQ",
        "Llama_3_8B_Instruct.q8_0.gguf", "llama-3-8b-instruct/model.fp16.safetensors"}) {
    EXPECT_EQ(NameWithoutPrecision(name), "llama38binstruct") << name;
  }
  EXPECT_EQ(NameWithoutPrecision("sd_xl_base_1.0_fp16.safetensors"), "sdxlbase10");
  EXPECT_EQ(NameWithoutPrecision("v1-5-pruned-emaonly.ckpt"), "v15");
  EXPECT_EQ(NameWithoutPrecision("model.safetensors"), "model");
  EXPECT_EQ(NameWithoutPrecision("fp16"), "");
  EXPECT_EQ(NameWithoutPrecision(""), "");
}

ModelSummary Model(std::string name, std::string architecture = "", Verdict verdict = Verdict::kOk) {
  ModelSummary model;
  model.id = DigestOf<ModelId>(AsBytes(name));
  model.name = std::move(name);
  model.architecture = std::move(architecture);
  model.model_kind = "model";
  model.verdict = verdict;
  return model;
}

TEST(SimilarModelsTest, UsableOnesOfTheSameNameAndArchitecture) {
  const ModelSummary broken = Model("flux-dev-fp16.safetensors", "flux.1-dev", Verdict::kCorrupt);
  const ModelSummary fp8 = Model("flux-dev-fp8.safetensors", "flux.1-dev");
  const ModelSummary untold = Model("flux-dev.gguf");
  const ModelSummary other_kind = Model("flux-dev-f16.gguf", "t5");
  const ModelSummary other_name = Model("flux-schnell-fp8.safetensors", "flux.1-dev");
  const ModelSummary unsafe = Model("flux-dev.ckpt", "flux.1-dev", Verdict::kUnsafe);
  const ModelSummary* all[] = {&broken, &fp8, &untold, &other_kind, &other_name, &unsafe};
  EXPECT_THAT(SimilarModels(broken, all), ElementsAre(&fp8, &untold));
  EXPECT_THAT(SimilarModels(Model("q8_0.gguf"), all), IsEmpty());
}

}  // namespace
}  // namespace warmset

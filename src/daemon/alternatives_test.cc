#include "daemon/alternatives.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class AlternativesTest : public testing::Test {
 protected:
  const Model& Add(const std::string& name, const std::string& architecture = "",
                   Verdict verdict = Verdict::kOk) {
    ModelSummary summary;
    summary.id = DigestOf<ModelId>(AsBytes(name));
    summary.name = name;
    summary.architecture = architecture;
    summary.verdict = verdict;
    return registry_.Put(summary);
  }

  ModelRegistry registry_;
};

TEST_F(AlternativesTest, AreTheSameModelInOtherPrecisionsAndFormats) {
  Add("mistral-7b-Q4_K_M.gguf");
  Add("TheBloke/Mistral_7B-fp16.safetensors");
  Add("mistral-7b-instruct.gguf");
  Add("mistral-7b-iq2_xs.gguf", "", Verdict::kCorrupt);
  Add("mistral-7b.q8_0.gguf", "phi");
  const Model& broken = Add("mistral-7b.ckpt", "llama", Verdict::kUnsafe);
  EXPECT_THAT(AlternativesOf(registry_, broken),
              ElementsAre("TheBloke/Mistral_7B-fp16.safetensors", "mistral-7b-Q4_K_M.gguf"));
}

TEST_F(AlternativesTest, ANameOfPrecisionsOnlyHasNone) {
  Add("fp16.safetensors");
  EXPECT_THAT(AlternativesOf(registry_, Add("fp32.safetensors", "", Verdict::kCorrupt)), IsEmpty());
}

}  // namespace
}  // namespace warmset

#include "discover/name_search.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

NameFit Fit(std::string_view name, std::string_view text) { return NameSearch(text).FitOf(name); }

std::vector<std::string> Similar(std::string_view text, const std::vector<std::string>& names) {
  NameSearch search(text);
  for (const std::string& name : names) search.Offer(name);
  return search.TakeSimilar();
}

TEST(NameSearchTest, AWholeStemFitsBetterThanALongerName) {
  EXPECT_EQ(Fit("sd_xl_base_1.0.safetensors", "sd_xl_base_1.0"), NameFit::kWhole);
  EXPECT_EQ(Fit("sd_xl_base_1.0_0.9vae.safetensors", "sd_xl_base_1.0"), NameFit::kStart);
  EXPECT_EQ(Fit("a/flux.gguf", "flux"), NameFit::kWhole);
  EXPECT_EQ(Fit("a/flux.gguf", "a/flux"), NameFit::kWhole);
  EXPECT_EQ(Fit("org/flux", "flux"), NameFit::kWhole);
  EXPECT_EQ(Fit("llama3:latest", "llama3"), NameFit::kWhole);
  EXPECT_EQ(Fit("llama3:8b", "llama3"), NameFit::kStart);
  EXPECT_EQ(Fit("SDXL.safetensors", "sdxl"), NameFit::kFoldedWhole);
  EXPECT_EQ(Fit("org/flux-dev", "flux"), NameFit::kPartStart);
  EXPECT_EQ(Fit("org/Flux_dev", "flux-d"), NameFit::kFoldedStart);
  // What follows the last dot is a part of the name here.
  EXPECT_EQ(Fit("sd_xl_base_1.0", "sd_xl_base_1"), NameFit::kStart);
  EXPECT_EQ(Fit("flux", "fluxx"), NameFit::kNone);
}

TEST(NameSearchTest, ASlipOfTheFingerIsSimilar) {
  const std::vector<std::string> names = {"flux.safetensors", "sd_xl_base_1.0.safetensors",
                                          "sd_xl_base_1.0_0.9vae.safetensors", "org/vae"};
  EXPECT_THAT(Similar("sd_xl_bsae", names),
              ElementsAre("sd_xl_base_1.0.safetensors", "sd_xl_base_1.0_0.9vae.safetensors"));
  EXPECT_THAT(Similar("flxu", names), ElementsAre("flux.safetensors"));
  EXPECT_THAT(Similar("other/VAE", names),
              ElementsAre("org/vae", "sd_xl_base_1.0_0.9vae.safetensors"));
  EXPECT_THAT(Similar("whisper", names), IsEmpty());
  EXPECT_THAT(Similar("a/", names), IsEmpty());
}

TEST(NameSearchTest, TheMostSimilarComeFirstAndTheyAreFew) {
  EXPECT_THAT(Similar("fluxdev", {"fluzdav", "fluxdav", "x-fluxdev"}),
              ElementsAre("x-fluxdev", "fluxdav"));
  EXPECT_THAT(Similar("m", std::vector<std::string>(50, "model")), SizeIs(NameSearch::kMaxSimilar));
}

}  // namespace
}  // namespace warmset

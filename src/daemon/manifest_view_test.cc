#include "daemon/manifest_view.h"

#include "gtest/gtest.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

ComponentManifest Component(const std::map<std::string, std::string>& metadata) {
  ComponentManifest component;
  component.name = "model";
  component.tensor_index = EncodeTensorIndex({}, metadata, 0);
  component.dtype_bytes = {{"F16", 8}};
  return component;
}

TEST(ManifestViewTest, SaysWhatWasFound) {
  Manifest manifest;
  manifest.format_version = "3";
  manifest.architectures = {{.name = "sdxl", .confidence = 0.9, .evidence = {"two encoders"}}};
  manifest.requires_models = {"sdxl"};
  manifest.unplaced.resize(2);
  manifest.components = {Component({{"format", "pt"}})};
  manifest.findings = {{.path = "a", .message = "odd"},
                       {.path = "b",
                        .verdict = Verdict::kUnsafe,
                        .category = FindingCategory::kUnsafeContent,
                        .message = "bad",
                        .offset = 0}};
  const v1::ModelDetail detail = ManifestMessage(manifest);
  EXPECT_EQ(detail.format_version(), "3");
  EXPECT_EQ(detail.unplaced_tensors(), 2u);
  EXPECT_EQ(detail.architectures(0).evidence(0), "two encoders");
  EXPECT_EQ(detail.requires_models(0), "sdxl");
  EXPECT_EQ(detail.metadata().at("format"), "pt");
  EXPECT_EQ(detail.components(0).dtype_bytes().at("F16"), 8u);
  EXPECT_EQ(detail.findings(0).severity(), "warning");
  EXPECT_FALSE(detail.findings(0).has_offset());
  EXPECT_EQ(detail.findings(1).severity(), "error");
  EXPECT_EQ(detail.findings(1).category(), "unsafe_content");
  EXPECT_EQ(detail.findings(1).verdict(), "unsafe");
  EXPECT_TRUE(detail.findings(1).has_offset());
}

TEST(ManifestViewTest, CountsParametersAndTokens) {
  ComponentManifest component;
  const std::vector<TensorEntry> tensors = {
      {.name = "a", .dtype = DType::kF16, .shape = {2, 3}, .offset = 0, .bytes = 12},
      {.name = "b", .dtype = DType::kF16, .shape = {}, .offset = 64, .bytes = 2}};
  component.tensor_index =
      EncodeTensorIndex(tensors, {{"llama.context_length", "8192"}}, 128);
  Manifest manifest;
  manifest.components = {component};
  const v1::ModelDetail detail = ManifestMessage(manifest);
  EXPECT_EQ(detail.components(0).parameters(), 7u);
  EXPECT_EQ(detail.context_length(), 8192u);
}

TEST(QuantisationOf, NamesWhatWeightsAreReducedTo) {
  EXPECT_EQ(QuantisationOf({{"Q4_K", 900}, {"Q6_K", 1000}, {"F32", 5000}}), "Q6_K, Q4_K");
  EXPECT_EQ(QuantisationOf({{"F8_E4M3", 10}, {"BF16", 5}}), "F8_E4M3");
  EXPECT_EQ(QuantisationOf({{"F4", 10}, {"U8", 5}}), "F4");
  EXPECT_EQ(QuantisationOf({{"BF16", 5}, {"I64", 8}, {"BOOL", 1}}), "");
}

TEST(ManifestViewTest, LongMetadataFitsIntoAMessage) {
  std::map<std::string, std::string> metadata;
  std::string log(100'000, 'x');
  // A character of three bytes across the cut.
  log.replace(16 * 1024 - 1, 3, "€");
  for (int i = 0; i < 1000; ++i) metadata["log " + std::to_string(i)] = log;
  Manifest manifest;
  manifest.components = {Component(metadata)};
  const v1::ModelDetail detail = ManifestMessage(manifest);
  EXPECT_LT(detail.ByteSizeLong(), 2u << 20);
  EXPECT_GT(detail.metadata_size(), 10);
  EXPECT_TRUE(detail.metadata().begin()->second.ends_with("x…"));
}

}  // namespace
}  // namespace warmset

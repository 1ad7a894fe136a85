#include "inspect/manifest.h"

#include "gtest/gtest.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

Manifest Example() {
  Manifest manifest;
  manifest.layout = ModelLayout::kDiffusers;
  manifest.format = "safetensors";
  manifest.format_version = "1";
  manifest.kind = "checkpoint";
  manifest.architectures = {{"flux.1-dev", 0.75, {"guidance_in", "img_in [64]"}}, {"x", 0, {}}};
  manifest.requires_models = {"flux.1-dev"};
  manifest.files = {
      {"a", {.device = 1, .inode = 2, .size = 10'000, .mtime_ns = -4, .ctime_ns = 5}, "sha256:00"},
      {"b/c", {.device = 1, .inode = 3, .size = 4096}, ""}};
  ComponentManifest& component = manifest.components.emplace_back();
  component.name = "unet";
  component.type = "unet";
  component.id = DigestOf<ComponentId>(AsBytes("id"));
  component.runs = {{0, 0, 4096, 0}, {0, 8192, 1808, 4096}, {1, 0, 4096, 8192}};
  component.entry_bytes = 12'288;
  const std::vector<TensorEntry> tensors = {{"w", DType::kF16, {3, 2}, 8192, 12}};
  component.tensor_index = EncodeTensorIndex(tensors, {{"k", "v"}}, component.entry_bytes);
  EXPECT_TRUE(SetTensorTotals(component).ok());
  manifest.unplaced = {{"v", DType::kF32, {2, 2}, {1, 2}, 1, 128, 16}};
  manifest.operators = {{"ai.onnx", "Conv", 17, 3}};
  manifest.findings = {
      {"a", Verdict::kOk, FindingCategory::kDtypeSupport, "odd", std::nullopt},
      {"b/c", Verdict::kUnsupported, FindingCategory::kFormatVersion, "too old", 4}};
  return manifest;
}

TEST(ManifestTest, DecodesWhatWasEncoded) {
  const Manifest manifest = Example();
  const std::string blob = EncodeManifest(manifest);
  const auto decoded = DecodeManifest(blob);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(EncodeManifest(*decoded), blob);
  EXPECT_EQ(decoded->files[0].identity, manifest.files[0].identity);
  EXPECT_EQ(decoded->files[0].claimed_hash, "sha256:00");
  EXPECT_EQ(decoded->components[0].id, manifest.components[0].id);
  EXPECT_EQ(decoded->components[0].tensor_count, 1u);
  EXPECT_EQ(decoded->components[0].dtype_bytes, (std::map<std::string, uint64_t>{{"F16", 12}}));
  EXPECT_EQ(decoded->architectures, manifest.architectures);
  EXPECT_EQ(decoded->unplaced, manifest.unplaced);
  EXPECT_EQ(decoded->operators, manifest.operators);
  EXPECT_EQ(decoded->findings, manifest.findings);
  EXPECT_EQ(decoded->verdict(), Verdict::kUnsupported);
  EXPECT_EQ(decoded->architecture().name, "flux.1-dev");
  EXPECT_EQ(decoded->total_bytes(), 14'096u);
}

TEST(ManifestTest, CutOffOrExtendedAnywhereIsCorrupt) {
  const std::string blob = EncodeManifest(Example());
  for (size_t size = 0; size < blob.size(); ++size) {
    EXPECT_FALSE(DecodeManifest(blob.substr(0, size)).ok()) << size;
  }
  EXPECT_EQ(CodeOf(DecodeManifest(blob + "x").status()), ErrorCode::kCorruptedModel);
}

TEST(ManifestTest, AnotherVersionIsSaidSo) {
  std::string blob = EncodeManifest(Example());
  blob[4] = 9;
  EXPECT_EQ(CodeOf(DecodeManifest(blob).status()), ErrorCode::kVersionMismatch);
}

TEST(ManifestTest, RunsThatLieAreCorrupt) {
  struct Case {
    const char* name;
    std::vector<FileRun> runs;
    uint64_t entry_bytes;
  };
  for (const Case& test : {
           Case{"no such file", {{2, 0, 4096, 0}}, 4096},
           Case{"beyond the file", {{0, 8192, 4096, 0}}, 4096},
           Case{"offset beyond the file", {{0, 16384, 4096, 0}}, 4096},
           Case{"overflowing", {{0, UINT64_MAX - 4095, 8192, 0}}, 8192},
           Case{"empty", {{0, 0, 0, 0}}, 0},
           Case{"offset not aligned", {{0, 1, 4096, 0}}, 4096},
           Case{"end not aligned", {{0, 0, 100, 0}}, 100},
           Case{"hole in the entry", {{0, 0, 4096, 4096}}, 8192},
           Case{"overlap in the entry", {{0, 0, 4096, 0}, {1, 0, 4096, 0}}, 4096},
           Case{"wrong size", {{0, 0, 4096, 0}}, 8192},
       }) {
    Manifest manifest = Example();
    ComponentManifest& component = manifest.components[0];
    component.runs = test.runs;
    component.entry_bytes = test.entry_bytes;
    component.tensor_index = EncodeTensorIndex({}, {}, test.entry_bytes);
    EXPECT_EQ(CodeOf(DecodeManifest(EncodeManifest(manifest)).status()), ErrorCode::kCorruptedModel)
        << test.name;
  }
}

TEST(ManifestTest, ComponentsOfOneNameAreCorrupt) {
  Manifest manifest = Example();
  manifest.components.push_back(manifest.components[0]);
  EXPECT_EQ(CodeOf(DecodeManifest(EncodeManifest(manifest)).status()), ErrorCode::kCorruptedModel);
}

TEST(ManifestTest, HugeCountsCostNoMemory) {
  std::string blob = EncodeManifest(Manifest{});
  blob.replace(blob.size() - 12, 4, "\xff\xff\xff\xff");  // the count of files
  EXPECT_EQ(CodeOf(DecodeManifest(blob).status()), ErrorCode::kCorruptedModel);
}

}  // namespace
}  // namespace warmset

// A serialised manifest, as the catalog or a parsing process gives it.
#include "fuzz/fuzzer.h"
#include "inspect/manifest.h"
#include "tensor/tensor_index.h"

using namespace warmset;

std::vector<std::string> Seeds() {
  Manifest manifest;
  manifest.layout = ModelLayout::kDiffusers;
  manifest.format = "safetensors";
  manifest.architectures = {{"sd1", 0.5, {"key"}}};
  manifest.findings = {{"", Verdict::kOk, FindingCategory::kFileCorruption, "odd", 8}};
  manifest.files.push_back({.path = "unet/model.safetensors", .identity = {}, .claimed_hash = {}});
  manifest.files[0].identity.size = 8192;
  const TensorEntry tensor{"weight", DType::kF16, {2, 4}, 4096, 16};
  ComponentManifest& component = manifest.components.emplace_back();
  component.name = component.type = "unet";
  component.runs.push_back({.file = 0, .file_offset = 0, .bytes = 8192, .entry_offset = 0});
  component.entry_bytes = 8192;
  component.tensor_index = EncodeTensorIndex({&tensor, 1}, {{"format", "pt"}}, 8192);
  return {EncodeManifest(manifest), EncodeManifest(Manifest())};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto manifest = DecodeManifest(Text(data, size));
  if (!manifest.ok()) return 0;
  Promise(EncodeManifest(*manifest) == Text(data, size), "only what was encoded is decoded");
  for (ComponentManifest& component : manifest->components) (void)SetTensorTotals(component);
  return 0;
}

// The small texts that say what a folder is: Ollama's manifests, records and messages
// of refused downloads, ComfyUI's paths.
#include <algorithm>

#include "discover/comfyui_paths.h"
#include "fuzz/fuzzer.h"
#include "inspect/access_record.h"
#include "inspect/ollama/manifest.h"
#include "inspect/shard_index.h"
#include "inspect/stand_in.h"

using namespace warmset;

std::vector<std::string> Seeds() {
  return {
      R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" +
          std::string(64, 'a') + R"(","size":7}],"config":{"mediaType":"x","digest":"sha256-)" +
          std::string(64, '0') + R"(","size":1}})",
      R"({"error_code":"GatedRepo","http_status":403,"repo":"org/name"})",
      "<!DOCTYPE html><html><head><title>Login</title></head></html>",
      R"({"error":"Access to model org/name is restricted. Please log in."})",
      "a111:\n  base_path: ~/webui\n  is_default: true\n  loras: |\n    models/Lora\n    \"x\"\n"
      "  vae: 'a b' # comment\n",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = Text(data, size);
  if (const auto layers = ParseOllamaManifest(text); layers.ok()) {
    for (const OllamaLayer& layer : *layers) {
      Promise(IsBareName(layer.blob) && layer.blob.starts_with("sha256-"),
              "a blob lies among the blobs");
    }
  }
  Promise(!ReadAccessRecord(text).ok(), "a record always stands for an error");
  const size_t start = std::min(size, kFileStartBytes);
  const Status stand_in = CheckNoStandIn(
      {.name = "m", .bytes = std::as_bytes(std::span(data, start)), .file_size = size});
  Promise(stand_in.ok() || CodeOf(stand_in) == ErrorCode::kIncompleteModel ||
              CodeOf(stand_in) == ErrorCode::kAccessRestricted,
          "a stand-in is incomplete or restricted");
  if (const auto folders = ParseComfyUiPaths(text, "/base", "/home/me"); folders.ok()) {
    for (const ComfyUiFolder& folder : *folders) {
      Promise(folder.path.starts_with('/'), "a folder's path is absolute");
    }
  }
  return 0;
}

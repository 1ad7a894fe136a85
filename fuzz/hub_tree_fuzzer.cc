// The trees/<commit>.json of a hub cache.
#include "fuzz/fuzzer.h"
#include "inspect/hub/tree.h"

using namespace warmset;

std::vector<std::string> Seeds() {
  return {
      R"({"format_version":1,"files":{"config.json":{"size":5,"blob_id":)"
      R"("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},"a/model.safetensors":{"size":7,)"
      R"("lfs_size":9,"xet_hash":"c"}}})",
      R"({"format_version":1,"files":{}})",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tree = ParseHubTree(Text(data, size));
  if (!tree.ok()) return 0;
  for (const HubFile& file : tree->files) {
    Promise(IsPathBelow(file.path), "a file lies below its snapshot");
    Promise(tree->Find(file.path) != nullptr, "a file is found by its path");
  }
  return 0;
}

// A *.safetensors.index.json.
#include "fuzz/fuzzer.h"
#include "inspect/shard_index.h"

using namespace warmset;

std::vector<std::string> Seeds() {
  return {
      R"({"metadata":{"total_size":42},"weight_map":{"a":"model-00001-of-00002.safetensors",)"
      R"("b":"model-00002-of-00002.safetensors","c":"model-00001-of-00002.safetensors"}})",
      R"({"weight_map":{}})",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto index = ParseShardIndex(Text(data, size));
  if (!index.ok()) return 0;
  for (const std::string& shard : index->shards) {
    Promise(IsBareName(shard), "a shard lies beside its index");
  }
  for (const auto& [tensor, shard] : index->weight_map) {
    Promise(shard < index->shards.size(), "each tensor has its shard");
  }
  return 0;
}

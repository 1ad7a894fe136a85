#include "inspect/shard_index.h"

#include <algorithm>
#include <functional>
#include <map>

#include "absl/container/flat_hash_set.h"
#include "fmt/format.h"
#include "inspect/json.h"
#include "inspect/ollama/manifest.h"
#include "os/file.h"

namespace warmset {
namespace {

Status Corrupt(std::string_view what) {
  return Error(ErrorCode::kCorruptedModel, fmt::format("index of shards: {}", what));
}

}  // namespace

bool IsBareName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

Status CheckBareName(std::string_view name) {
  if (IsBareName(name)) return OkStatus();
  const bool leads_out = name == "." || name == ".." || name.find('/') != std::string_view::npos;
  return leads_out ? Error(ErrorCode::kUnsafeModel,
                           fmt::format("'{}' leads out of the model's folder", name))
                   : Corrupt(fmt::format("'{}' is no name of a file", name));
}

bool IsPrintable(std::string_view text) {
  const bool controls =
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return !controls && simdjson::validate_utf8(text.data(), text.size());
}

StatusOr<ShardIndex> ParseShardIndex(std::string_view json) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  simdjson::dom::object map;
  if (const auto error = parser.parse(json.data(), json.size()).get(document)) {
    return Corrupt(JsonErrorText(error));
  }
  if (document["weight_map"].get(map)) return Corrupt("it has no weight_map");

  ShardIndex index;
  std::map<std::string_view, uint32_t> shards;
  absl::flat_hash_set<std::string_view, std::hash<std::string_view>> tensors;
  tensors.reserve(map.size());
  for (const auto& [tensor, value] : map) {
    std::string_view shard;
    if (value.get(shard)) return Corrupt(fmt::format("the file of '{}' is no string", tensor));
    RETURN_IF_ERROR(CheckBareName(shard));
    if (!tensors.insert(tensor).second) {
      return Corrupt(fmt::format("'{}' is there twice", tensor));
    }
    shards.emplace(shard, 0);
  }
  for (auto& [name, number] : shards) {
    number = static_cast<uint32_t>(index.shards.size());
    index.shards.emplace_back(name);
  }
  index.weight_map.reserve(map.size());
  for (const auto& [tensor, value] : map) {
    index.weight_map.emplace_back(tensor, shards.at(value.get_string().value_unsafe()));
  }
  return index;
}

StatusOr<std::vector<std::string>> ReadNamedFiles(int index_fd) {
  ASSIGN_OR_RETURN(const std::string json, os::ReadSmallFile(index_fd, kMaxShardIndexBytes));
  if (json.find("\"weight_map\"") != std::string::npos) {
    ASSIGN_OR_RETURN(ShardIndex index, ParseShardIndex(json));
    return std::move(index.shards);
  }
  ASSIGN_OR_RETURN(const std::vector<OllamaLayer> layers, ParseOllamaManifest(json));
  std::vector<std::string> blobs;
  for (const OllamaLayer& layer : layers) blobs.push_back(layer.blob);
  std::sort(blobs.begin(), blobs.end());
  blobs.erase(std::unique(blobs.begin(), blobs.end()), blobs.end());
  return blobs;
}

}  // namespace warmset

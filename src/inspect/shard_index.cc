#include "inspect/shard_index.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/digest.h"
#include "fmt/format.h"
#include "inspect/json.h"
#include "inspect/json_scanner.h"
#include "inspect/ollama/manifest.h"
#include "inspect/shown.h"
#include "os/file.h"

namespace warmset {
namespace {

Status Corrupt(std::string_view what) {
  return Error(ErrorCode::kCorruptedModel, fmt::format("index of shards: {}", what));
}

// In one pass: an index of a million tensors has 100 MB.
class IndexParser {
 public:
  explicit IndexParser(std::string_view json) : json_(json) {}

  StatusOr<ShardIndex> Parse() {
    if (!json_.BeginObject()) return NoMap();
    bool first = true;
    bool found = false;
    std::string_view key;
    while (json_.NextMember(first, key)) {
      if (key == "weight_map") {
        if (std::exchange(found, true)) return Corrupt("two fields weight_map");
        RETURN_IF_ERROR(ParseMap());
      } else if (!json_.Skip(kMaxNesting)) {
        return Json();
      }
    }
    if (json_.failed()) return Json();
    if (!json_.AtEnd()) return Corrupt("something follows its JSON object");
    if (!found) return NoMap();
    NumberByName();
    return std::move(index_);
  }

 private:
  Status ParseMap() {
    if (!json_.BeginObject()) return NoMap();
    bool first = true;
    std::string_view key;
    std::string_view shard;
    while (json_.NextMember(first, key)) {
      if (!tensors_.insert(DigestOf<NameDigest>(AsBytes(key))).second) {
        return Corrupt(fmt::format("'{}' is there twice", Shown(key)));
      }
      index_.weight_map.emplace_back(key, 0);
      if (!json_.String(shard)) {
        return Corrupt(
            fmt::format("the file of '{}' is no string", Shown(index_.weight_map.back().first)));
      }
      auto number = numbers_.find(shard);
      if (number == numbers_.end()) {
        RETURN_IF_ERROR(CheckBareName(shard));
        number = numbers_.emplace(shard, static_cast<uint32_t>(numbers_.size())).first;
      }
      index_.weight_map.back().second = number->second;
    }
    return json_.failed() ? Json() : OkStatus();
  }

  // Shards are counted as they come, and listed by name.
  void NumberByName() {
    std::vector<uint32_t> final(numbers_.size());
    for (const auto& [name, number] : numbers_) {
      final[number] = static_cast<uint32_t>(index_.shards.size());
      index_.shards.push_back(name);
    }
    for (auto& [tensor, shard] : index_.weight_map) shard = final[shard];
  }

  static Status NoMap() { return Corrupt("it has no weight_map"); }
  Status Json() const { return AtOffset(Corrupt(json_.error()), json_.offset()); }

  using NameDigest = Digest128<struct NameDigestTag>;
  static constexpr size_t kMaxNesting = 1024;

  JsonScanner json_;
  ShardIndex index_;
  std::map<std::string, uint32_t, std::less<>> numbers_;  // of shards
  absl::flat_hash_set<NameDigest, std::hash<NameDigest>> tensors_;
};

}  // namespace

bool IsBareName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

Status CheckBareName(std::string_view name) {
  if (IsBareName(name)) return OkStatus();
  const bool leads_out = name == "." || name == ".." || name.find('/') != std::string_view::npos;
  return leads_out ? Error(ErrorCode::kUnsafeModel,
                           fmt::format("'{}' leads out of the model's folder", Shown(name)))
                   : Corrupt(fmt::format("'{}' is no name of a file", Shown(name)));
}

bool IsPrintable(std::string_view text) {
  const bool controls =
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return !controls && simdjson::validate_utf8(text.data(), text.size());
}

StatusOr<ShardIndex> ParseShardIndex(std::string_view json) {
  if (json.starts_with("\xEF\xBB\xBF")) json.remove_prefix(3);
  if (!simdjson::validate_utf8(json.data(), json.size())) {
    return Corrupt(JsonErrorText(simdjson::UTF8_ERROR));
  }
  return IndexParser(json).Parse();
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

// The index of a model that is stored in several files (*.safetensors.index.json).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "inspect/hub/tree.h"

namespace warmset {

struct ShardIndex {
  std::vector<std::string> shards;  // names of files beside the index, sorted
  // Which shard (a position in `shards`) holds each tensor, in the order of the file.
  std::vector<std::pair<std::string, uint32_t>> weight_map;
};

// kCorruptedModel for anything but a JSON object whose weight_map leads from
// tensor names, each named once, to names of files; kUnsafeModel when one of these
// leads to another folder.
StatusOr<ShardIndex> ParseShardIndex(std::string_view json);

// Says which files an index names and which ones a hub's commit has, for those who
// group files into models. Implementations say whether they are thread-safe, and in
// which process the file is parsed.
class ShardLister {
 public:
  virtual ~ShardLister() = default;
  // What ReadNamedFiles() gives for the file that this descriptor is open on.
  virtual StatusOr<std::vector<std::string>> ShardsOf(int index_fd) = 0;
  // The same with ReadHubTree().
  virtual StatusOr<HubTree> TreeOf(int tree_fd) = 0;
};

inline constexpr size_t kMaxShardIndexBytes = size_t{128} << 20;  // of a million tensors
// The names of the files that an index of shards or an Ollama manifest lists, read
// and parsed in this process: bare names, sorted, each once. The errors of
// ParseShardIndex() and ParseOllamaManifest(), and those of reading: kInvalidRequest
// for one above kMaxShardIndexBytes.
StatusOr<std::vector<std::string>> ReadNamedFiles(int index_fd);

// True for one part of a path: not empty, no '/', no NUL, not "." or "..".
bool IsBareName(std::string_view name);

// kUnsafeModel for a name that leads to another folder, kCorruptedModel for what
// is no name at all.
Status CheckBareName(std::string_view name);

// True for UTF-8 without control characters: what may be shown and sent on.
bool IsPrintable(std::string_view text);

}  // namespace warmset

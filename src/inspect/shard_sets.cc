#include "inspect/shard_sets.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "fmt/format.h"

namespace warmset {
namespace {

// A numbered set that an index names shards of, by stem, suffix and count.
using NumberedSet = std::tuple<std::string, std::string, uint32_t>;

NumberedSet SetOf(const NumberedName& name) { return {name.stem, name.suffix, name.count}; }

// Of sets that promise more, numbers that are missing are not looked for.
constexpr uint32_t kMaxCount = 10'000;

}  // namespace

StatusOr<std::vector<std::string>> KeepLastOfEqualNames(std::span<FilePart> parts) {
  absl::flat_hash_set<std::string_view, std::hash<std::string_view>> later;
  std::vector<std::string> twice;
  for (size_t p = parts.size(); p > 0; --p) {
    TensorTable& tensors = parts[p - 1].contents.tensors;
    bool differs = false;
    for (size_t i = 0; i < tensors.size() && !differs; ++i) {
      differs = later.contains(tensors[i].name);
    }
    if (differs) {
      TensorTable kept;
      for (size_t i = 0; i < tensors.size(); ++i) {
        if (later.contains(tensors[i].name)) {
          twice.emplace_back(tensors[i].name);
        } else {
          RETURN_IF_ERROR(kept.Add(tensors[i]));
        }
      }
      tensors = std::move(kept);
    }
    for (size_t i = 0; i < tensors.size(); ++i) later.insert(tensors[i].name);
  }
  std::sort(twice.begin(), twice.end());
  twice.erase(std::unique(twice.begin(), twice.end()), twice.end());
  return twice;
}

UnlistedShards FindUnlistedShards(const WeightSet& set, const ShardIndex& index) {
  UnlistedShards unlisted;
  std::map<NumberedSet, std::string> named;  // sets that the index names, and one of each
  const std::set<std::string_view> listed(index.shards.begin(), index.shards.end());
  for (const std::string& shard : index.shards) {
    if (const auto parsed = ParseNumberedName(shard)) named.emplace(SetOf(*parsed), shard);
  }
  const std::set<std::string_view> present(set.files.begin(), set.files.end());
  for (const auto& [key, example] : named) {
    const uint32_t count = std::get<2>(key);
    for (uint32_t number = 1; number <= count && count <= kMaxCount; ++number) {
      const std::string name = PartName(example, number);
      if (listed.contains(name)) continue;
      (present.contains(name) ? unlisted.present : unlisted.absent).push_back(name);
    }
  }
  return unlisted;
}

size_t FindSingleFile(std::span<const WeightSet> sets, const WeightSet& sharded) {
  const auto single = std::find_if(sets.begin(), sets.end(), [&](const WeightSet& set) {
    return !set.sharded() && set.stem == sharded.stem && set.suffix == sharded.suffix;
  });
  return static_cast<size_t>(single - sets.begin());
}

}  // namespace warmset

// Rules for models in several files that no format states: what loaders make of sets
// that are not quite whole.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "inspect/components.h"
#include "inspect/shard_index.h"
#include "inspect/weight_sets.h"

namespace warmset {

// Takes out tensors that a later part has as well: loaders read one part after another,
// and the last one stays. Returns their names, each once, sorted.
StatusOr<std::vector<std::string>> KeepLastOfEqualNames(std::span<FilePart> parts);

// Shards that an index leaves out of a numbered set of which it names others.
struct UnlistedShards {
  std::vector<std::string> present;  // in the folder
  std::vector<std::string> absent;
};
UnlistedShards FindUnlistedShards(const WeightSet& set, const ShardIndex& index);

// The place among the sets of the single file that libraries may load in place of a set
// of several: "model.safetensors" beside "model-00001-of-00002.safetensors" or beside
// "model.safetensors.index.json". The number of sets when there is none.
size_t FindSingleFile(std::span<const WeightSet> sets, const WeightSet& sharded);

}  // namespace warmset

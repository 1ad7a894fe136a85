// Which weights files of a folder belong together, told by their names.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warmset {

// One file, the shards of one index, or the numbered parts of one GGUF file.
struct WeightSet {
  std::string stem;   // "model", "diffusion_pytorch_model.fp16", "sdxl-base"
  std::string index;  // the index of its shards; empty: there is none
  std::vector<std::string> files;  // numbered parts by number
  uint32_t parts = 1;              // by their names, how many numbered parts there should be

  bool IsSingleFile() const { return index.empty() && parts == 1; }

  friend bool operator==(const WeightSet&, const WeightSet&) = default;
};

bool IsWeightsFile(std::string_view name);
// "model" for "model.safetensors.index.json", "model.fp16" for both
// "model.fp16.safetensors.index.json" and "model.safetensors.index.fp16.json";
// nothing for other names.
std::optional<std::string> IndexStem(std::string_view name);

// Groups the files of one folder, given by bare names; sorted by stem. A shard
// belongs to the index that names it, or whose stem it has; shards_of() reads an
// index and gives nothing for a broken one. Parts of one stem and count belong
// together. Names that are neither weights nor indexes are left out.
std::vector<WeightSet> GroupWeights(
    std::span<const std::string> names,
    const std::function<std::vector<std::string>(const std::string& index)>& shards_of);

// True for the names that the transformers and diffusers libraries load by
// themselves ("model", "diffusion_pytorch_model.fp16", ...).
bool IsLibraryStem(std::string_view stem);

// How the sets of one folder are told apart: an empty label for the one that is
// loaded by default (no variant; else the first), a variant such as "fp16" or a
// whole stem for the others. Same order and length as the sets, all different.
std::vector<std::string> VariantLabels(std::span<const WeightSet> sets);

}  // namespace warmset

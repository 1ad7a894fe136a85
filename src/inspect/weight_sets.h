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

// Endings of files are compared without case: "LOUD.SAFETENSORS" is one of safetensors.
bool EndsWithIgnoreCase(std::string_view name, std::string_view ending);

// One file, the shards of one index, or the parts that numbers in their names hold
// together.
struct WeightSet {
  std::string stem;    // "model", "diffusion_pytorch_model.fp16", "sdxl-base"
  std::string suffix;  // ".safetensors", ".bin", ".gguf", in lower case
  std::string index;   // the index of its shards; empty: there is none
  std::vector<std::string> files;
  // Parts that the numbers promise, or the index names, and that are not there.
  uint32_t missing_count = 0;
  std::string first_missing;

  bool sharded() const { return !index.empty() || files.size() + missing_count > 1; }
  friend bool operator==(const WeightSet&, const WeightSet&) = default;
};

// True for what is a model's weights by its name alone. A ".bin" may be anything,
// so that only the names count which libraries give to weights.
bool IsWeightsFile(std::string_view name);
// The same, and any ".bin" that is not known to be something else: for folders
// that are known to hold models.
bool MayBeWeightsFile(std::string_view name);

// True for the files in which ONNX's exporters put the tensors of `model`:
// "model.onnx_data", "model.onnx.data", and numbered ones.
bool IsOnnxDataOf(std::string_view name, std::string_view model);
bool IsOnnxData(std::string_view name);

struct IndexName {
  std::string stem;
  std::string suffix;  // of the shards
  friend bool operator==(const IndexName&, const IndexName&) = default;
};
// {"model", ".safetensors"} for "model.safetensors.index.json", "model.fp16" for
// both "model.fp16.safetensors.index.json" and "model.safetensors.index.fp16.json",
// the same with ".bin"; nothing for other names.
std::optional<IndexName> ParseIndexName(std::string_view name);

struct NumberedName {
  std::string stem;    // with the variant: "model.fp16"
  std::string suffix;  // ".gguf"
  uint32_t number = 0;  // from 1 on
  uint32_t count = 0;
  friend bool operator==(const NumberedName&, const NumberedName&) = default;
};
// "model-00001-of-00002.gguf", "model-00001-of-00002.fp16.safetensors"; nothing for
// other names.
std::optional<NumberedName> ParseNumberedName(std::string_view name);

// What another part of the set is called. REQUIRES: ParseNumberedName(name).
std::string PartName(std::string name, uint32_t number);

// Groups the files of one folder, given by bare names; sorted by stem. A shard
// belongs to the index that names it, or whose stem it has; shards_of() reads an
// index and gives nothing for a broken one. Names that are neither weights nor
// indexes are left out.
std::vector<WeightSet> GroupWeights(
    std::span<const std::string> names,
    const std::function<std::vector<std::string>(const std::string& index)>& shards_of);

// Takes out the ".bin" sets whose weights lie there as safetensors too, which is
// what the libraries then load. Returns them.
std::vector<WeightSet> TakeCopies(std::vector<WeightSet>& sets);

// True for the names that the transformers and diffusers libraries load by
// themselves ("model", "diffusion_pytorch_model.fp16", ...).
bool IsLibraryStem(std::string_view stem);

// True for what these libraries load from a folder with a config.json; GGUF and
// ONNX files are models of their own there.
bool IsLibraryFormat(std::string_view suffix);

// How the sets of one folder are told apart: an empty label for the one that is
// loaded by default (no variant; else the first), a variant such as "fp16" or a
// whole stem for the others. Same order and length as the sets, all different.
std::vector<std::string> VariantLabels(std::span<const WeightSet> sets);

}  // namespace warmset

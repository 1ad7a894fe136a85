#include "inspect/weight_sets.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <set>

#include "inspect/gguf/split.h"

namespace warmset {
namespace {

constexpr std::array<std::string_view, 2> kSuffixes = {".safetensors", ".gguf"};
constexpr std::string_view kIndexMark = ".safetensors.index.";
constexpr std::string_view kJson = "json";

// Source: the *_WEIGHTS_NAME constants of the transformers, diffusers and peft
// libraries.
constexpr std::array<std::string_view, 5> kLibraryBases = {
    "model", "diffusion_pytorch_model", "pytorch_model", "adapter_model", "pytorch_lora_weights"};

std::string_view Base(std::string_view stem) { return stem.substr(0, stem.find('.')); }
std::string_view Variant(std::string_view stem) {
  const size_t dot = stem.find('.');
  return dot == std::string_view::npos ? std::string_view() : stem.substr(dot + 1);
}

// The ending that makes a name one of weights; empty for other names.
std::string_view WeightsSuffix(std::string_view name) {
  for (const std::string_view suffix : kSuffixes) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) return suffix;
  }
  return {};
}

// "model" for "model-00001-of-00002.safetensors", else empty.
std::string_view ShardStem(std::string_view name) {
  constexpr std::string_view kPattern = "-NNNNN-of-NNNNN.safetensors";
  if (name.size() <= kPattern.size()) return {};
  const std::string_view tail = name.substr(name.size() - kPattern.size());
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(tail[i])) != 0;
    if (kPattern[i] == 'N' ? !digit : tail[i] != kPattern[i]) return {};
  }
  return name.substr(0, name.size() - kPattern.size());
}

}  // namespace

bool IsWeightsFile(std::string_view name) { return !WeightsSuffix(name).empty(); }

std::optional<std::string> IndexStem(std::string_view name) {
  const size_t mark = name.find(kIndexMark);
  if (mark == 0 || mark == std::string_view::npos || !name.ends_with(kJson)) return std::nullopt;
  std::string stem(name.substr(0, mark));
  const std::string_view rest = name.substr(mark + kIndexMark.size());
  if (rest == kJson) return stem;
  const std::string_view variant = rest.substr(0, rest.size() - kJson.size());
  if (variant.size() < 2 || !variant.ends_with('.')) return std::nullopt;
  return stem.append(".").append(variant.substr(0, variant.size() - 1));
}

std::vector<WeightSet> GroupWeights(
    std::span<const std::string> names,
    const std::function<std::vector<std::string>(const std::string& index)>& shards_of) {
  const std::set<std::string> present(names.begin(), names.end());
  std::map<std::string, WeightSet> sets;  // by stem
  std::set<std::string> taken;
  for (const std::string& name : present) {
    const auto stem = IndexStem(name);
    if (!stem || sets.contains(*stem)) continue;
    WeightSet& set = sets[*stem];
    set.stem = *stem;
    set.index = name;
    for (const std::string& shard : shards_of(name)) {
      if (present.contains(shard)) set.files.push_back(shard);
    }
    taken.insert(set.files.begin(), set.files.end());
  }
  for (const std::string& name : present) {
    if (!IsWeightsFile(name) || taken.contains(name)) continue;
    const auto owner = sets.find(std::string(ShardStem(name)));
    if (owner != sets.end() && !owner->second.index.empty()) {
      owner->second.files.push_back(name);
      continue;
    }
    if (const auto part = ParseGgufPartName(name); part && part->count > 1) {
      // Under a name that no other set can have.
      WeightSet& set = sets[FormatGgufPartName({part->stem, 1, part->count})];
      set.stem = part->stem;
      set.files.push_back(name);
      set.parts = part->count;
      continue;
    }
    // A file beside an index, or another format, of the same stem is a set of its own.
    const std::string stem = name.substr(0, name.size() - WeightsSuffix(name).size());
    WeightSet& set = sets[sets.contains(stem) ? name : stem];
    set.stem = stem;
    set.files = {name};
  }
  std::vector<WeightSet> result;
  for (auto& [key, set] : sets) result.push_back(std::move(set));
  return result;
}

bool IsLibraryStem(std::string_view stem) {
  return std::find(kLibraryBases.begin(), kLibraryBases.end(), Base(stem)) != kLibraryBases.end();
}

std::vector<std::string> VariantLabels(std::span<const WeightSet> sets) {
  // 0: what is loaded by default, 1: a variant of it, 2: anything else.
  const auto rank = [](const WeightSet& set) {
    if (!IsLibraryStem(set.stem)) return 2;
    return Variant(set.stem).empty() ? 0 : 1;
  };
  const auto primary =
      std::min_element(sets.begin(), sets.end(),
                       [&](const WeightSet& a, const WeightSet& b) { return rank(a) < rank(b); });
  std::set<std::string> used = {""};
  std::vector<std::string> labels;
  for (auto set = sets.begin(); set != sets.end(); ++set) {
    std::string label;
    if (set != primary) {
      label = rank(*set) == 1 ? std::string(Variant(set->stem)) : set->stem;
      if (used.contains(label)) label = set->stem;
      while (!used.insert(label).second) label += "+";
    }
    labels.push_back(std::move(label));
  }
  return labels;
}

}  // namespace warmset

#include "inspect/weight_sets.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "fmt/format.h"

namespace warmset {
namespace {

constexpr std::string_view kBin = ".bin";
constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::array<std::string_view, 9> kSuffixes = {
    kSafetensors, ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".jit", ".onnx", ".dduf"};

// Source: the *_WEIGHTS_NAME constants of the transformers, diffusers and peft
// libraries.
constexpr std::array<std::string_view, 5> kLibraryBases = {
    "model", "diffusion_pytorch_model", "pytorch_model", "adapter_model", "pytorch_lora_weights"};
// What ".bin" files of weights are called beside these; the rest of the name may
// differ ("learned_embeds-steps-1000.bin").
constexpr std::array<std::string_view, 7> kBinStarts = {
    "pytorch_model",  "diffusion_pytorch_model", "adapter_model", "pytorch_lora_weights",
    "learned_embeds", "ip-adapter",              "ip_adapter"};
// What a training leaves beside its model, and OpenVINO's own weights. Source: the
// file names of the transformers Trainer and of accelerate's checkpoints.
constexpr std::array<std::string_view, 8> kOtherStarts = {
    "training_args", "optimizer", "scheduler", "scaler",
    "rng_state",     "sampler",   "random_states", "openvino_"};

constexpr size_t kNumberDigits = 5;

template <size_t N>
bool StartsWithAny(std::string_view name, const std::array<std::string_view, N>& starts) {
  return std::any_of(starts.begin(), starts.end(),
                     [name](std::string_view start) { return name.starts_with(start); });
}

bool EndsInside(std::string_view name, std::string_view suffix) {
  return name.size() > suffix.size() && EndsWithIgnoreCase(name, suffix);
}

// ".gguf" for "x.gguf"; empty for what is no weights file.
std::string_view SuffixOf(std::string_view name) {
  if (EndsInside(name, kBin)) return kBin;
  for (const std::string_view suffix : kSuffixes) {
    if (EndsInside(name, suffix)) return suffix;
  }
  return {};
}

std::string_view Base(std::string_view stem) { return stem.substr(0, stem.find('.')); }
std::string_view Variant(std::string_view stem) {
  const size_t dot = stem.find('.');
  return dot == std::string_view::npos ? std::string_view() : stem.substr(dot + 1);
}

// The number that these digits are; nothing unless there are exactly as many.
std::optional<uint32_t> FixedNumber(std::string_view digits) {
  if (digits.size() != kNumberDigits) return std::nullopt;
  uint32_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  return number;
}

// transformers writes the weights that it calls "model.safetensors" to
// "pytorch_model.bin" otherwise.
std::string StemAsSafetensors(const std::string& stem) {
  constexpr std::string_view kTorch = "pytorch_model";
  if (Base(stem) != kTorch) return stem;
  return "model" + stem.substr(kTorch.size());
}

// Adds numbered parts to their sets, and tells which are missing.
class NumberedSets {
 public:
  void Add(const std::string& name, const NumberedName& parsed) {
    Group& group = groups_[{parsed.stem, parsed.suffix, parsed.count}];
    group[parsed.number] = name;
  }

  std::vector<WeightSet> Take() const {
    std::vector<WeightSet> sets;
    for (const auto& [key, group] : groups_) {
      const auto& [stem, suffix, count] = key;
      WeightSet& set = sets.emplace_back();
      set.stem = stem;
      set.suffix = suffix;
      set.missing_count = count - static_cast<uint32_t>(group.size());
      uint32_t next = 1;
      for (const auto& [number, name] : group) {
        set.files.push_back(name);
        if (number == next) ++next;
      }
      if (set.missing_count != 0) set.first_missing = PartName(group.begin()->second, next);
    }
    return sets;
  }

 private:
  using Group = std::map<uint32_t, std::string>;

  std::map<std::tuple<std::string, std::string, uint32_t>, Group> groups_;
};

}  // namespace

bool EndsWithIgnoreCase(std::string_view name, std::string_view ending) {
  return absl::EndsWithIgnoreCase({name.data(), name.size()}, {ending.data(), ending.size()});
}

bool IsWeightsFile(std::string_view name) {
  const std::string_view suffix = SuffixOf(name);
  if (suffix.empty() || StartsWithAny(name, kOtherStarts)) return false;
  return suffix != kBin || StartsWithAny(name, kBinStarts);
}

bool MayBeWeightsFile(std::string_view name) {
  return !SuffixOf(name).empty() && !StartsWithAny(name, kOtherStarts);
}

bool IsOnnxDataOf(std::string_view name, std::string_view model) {
  if (!name.starts_with(model)) return false;
  name.remove_prefix(model.size());
  if (!name.starts_with("_data") && !name.starts_with(".data")) return false;
  return name.find_first_not_of("0123456789_.", 5) == std::string_view::npos;
}

bool IsOnnxData(std::string_view name) {
  constexpr std::string_view kOnnx = ".onnx";
  for (size_t at = name.size(); at > kOnnx.size(); --at) {
    const std::string_view model = name.substr(0, at);
    if (EndsInside(model, kOnnx) && IsOnnxDataOf(name, model)) return true;
  }
  return false;
}

std::optional<IndexName> ParseIndexName(std::string_view name) {
  constexpr std::string_view kMark = ".index.";
  constexpr std::string_view kJson = "json";
  const size_t mark = name.find(kMark);
  if (mark == std::string_view::npos || !name.ends_with(kJson)) return std::nullopt;
  const std::string_view shards = name.substr(0, mark);
  const std::string_view suffix = SuffixOf(shards);
  if (suffix != kSafetensors && suffix != kBin) return std::nullopt;
  IndexName parsed{std::string(shards.substr(0, shards.size() - suffix.size())),
                   std::string(suffix)};
  const std::string_view rest = name.substr(mark + kMark.size());
  if (rest == kJson) return parsed;
  const std::string_view variant = rest.substr(0, rest.size() - kJson.size());
  if (variant.size() < 2 || !variant.ends_with('.')) return std::nullopt;
  parsed.stem.append(".").append(variant.substr(0, variant.size() - 1));
  return parsed;
}

std::optional<NumberedName> ParseNumberedName(std::string_view name) {
  constexpr std::string_view kOf = "-of-";
  const std::string_view suffix = SuffixOf(name);
  const size_t of = name.rfind(kOf);
  if (suffix.empty() || of == std::string_view::npos || of < kNumberDigits + 2) {
    return std::nullopt;
  }
  const size_t dash = of - kNumberDigits - 1;
  const size_t after = of + kOf.size() + kNumberDigits;
  if (name[dash] != '-' || after + suffix.size() > name.size()) return std::nullopt;
  const auto number = FixedNumber(name.substr(dash + 1, kNumberDigits));
  const auto count = FixedNumber(name.substr(of + kOf.size(), kNumberDigits));
  const std::string_view variant = name.substr(after, name.size() - suffix.size() - after);
  const bool odd_variant = !variant.empty() && (variant.front() != '.' || variant.size() == 1);
  if (!number || !count || *number == 0 || *number > *count || odd_variant) return std::nullopt;
  return NumberedName{std::string(name.substr(0, dash)).append(variant), std::string(suffix),
                      *number, *count};
}

std::string PartName(std::string name, uint32_t number) {
  return name.replace(name.rfind("-of-") - kNumberDigits, kNumberDigits,
                      fmt::format("{:05}", number));
}

std::vector<WeightSet> GroupWeights(
    std::span<const std::string> names,
    const std::function<std::vector<std::string>(const std::string& index)>& shards_of) {
  const std::set<std::string> present(names.begin(), names.end());
  std::map<std::pair<std::string, std::string>, WeightSet> indexed;  // by stem and suffix
  std::set<std::string> taken;
  for (const std::string& name : present) {
    const auto parsed = ParseIndexName(name);
    if (!parsed) continue;
    const auto [entry, added] = indexed.try_emplace({parsed->stem, parsed->suffix});
    if (!added) continue;
    WeightSet& set = entry->second;
    set.stem = parsed->stem;
    set.suffix = parsed->suffix;
    set.index = name;
    for (const std::string& shard : shards_of(name)) {
      if (present.contains(shard)) {
        set.files.push_back(shard);
      } else if (set.missing_count++ == 0) {
        set.first_missing = shard;
      }
    }
    taken.insert(set.files.begin(), set.files.end());
  }
  std::vector<WeightSet> sets;
  NumberedSets numbered;
  for (const std::string& name : present) {
    const std::string_view suffix = SuffixOf(name);
    if (suffix.empty() || taken.contains(name)) continue;
    if (const auto parsed = ParseNumberedName(name)) {
      const auto owner = indexed.find({parsed->stem, parsed->suffix});
      if (owner != indexed.end()) {
        owner->second.files.push_back(name);
      } else {
        numbered.Add(name, *parsed);
      }
      continue;
    }
    WeightSet& set = sets.emplace_back();
    set.stem = name.substr(0, name.size() - suffix.size());
    set.suffix = suffix;
    set.files = {name};
  }
  for (auto& [key, set] : indexed) sets.push_back(std::move(set));
  for (WeightSet& set : numbered.Take()) sets.push_back(std::move(set));
  // An index before a file of its stem: it is what the libraries look for first.
  const auto order = [](const WeightSet& set) {
    return std::tuple(std::string_view(set.stem), !set.sharded(), std::string_view(set.suffix));
  };
  std::stable_sort(sets.begin(), sets.end(), [&](const WeightSet& a, const WeightSet& b) {
    return order(a) < order(b);
  });
  return sets;
}

std::vector<WeightSet> TakeCopies(std::vector<WeightSet>& sets) {
  std::set<std::string> safe;
  for (const WeightSet& set : sets) {
    const bool whole = !set.files.empty() && (set.missing_count == 0 || !set.index.empty());
    if (set.suffix == kSafetensors && whole) safe.insert(set.stem);
  }
  std::vector<WeightSet> copies;
  std::erase_if(sets, [&](WeightSet& set) {
    const bool copy = set.suffix == kBin && IsLibraryStem(set.stem) &&
                      safe.contains(StemAsSafetensors(set.stem));
    if (!copy) return false;
    copies.push_back(std::move(set));
    return true;
  });
  return copies;
}

bool IsLibraryStem(std::string_view stem) {
  return std::find(kLibraryBases.begin(), kLibraryBases.end(), Base(stem)) != kLibraryBases.end();
}

bool IsLibraryFormat(std::string_view suffix) { return suffix == kSafetensors || suffix == kBin; }

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

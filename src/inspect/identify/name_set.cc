#include "inspect/identify/name_set.h"

#include <algorithm>
#include <array>
#include <string>

namespace warmset {
namespace {

constexpr uint64_t kBasis = 0xcbf29ce484222325;
constexpr uint64_t kPrime = 0x100000001b3;  // FNV-1a's

class Hash {
 public:
  void Add(char c) { value_ = (value_ ^ static_cast<unsigned char>(c)) * kPrime; }
  // FNV's low bits alone are too alike for a table.
  uint64_t value() const { return value_ ^ (value_ >> 29); }

 private:
  uint64_t value_ = kBasis;
};

constexpr std::string_view kBlock = "block";

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Words between separators; a number is '#'. Each is followed by a dot.
template <typename IsSeparator>
uint64_t HashOfWords(std::string_view name, IsSeparator is_separator, char last) {
  Hash hash;
  for (size_t i = 0; i < name.size();) {
    // Cosmos' first models call their blocks "block0", "block1", ...
    size_t end = name.substr(i).starts_with(kBlock) ? i + kBlock.size() : i;
    const size_t begin = end;
    while (end < name.size() && IsDigit(name[end])) ++end;
    if (end > begin && (end == name.size() || is_separator(name[end]))) {
      if (begin != i) hash.Add(kBlock.front());
      hash.Add('#');
      i = end;
    }
    for (; i < name.size() && !is_separator(name[i]); ++i) hash.Add(name[i]);
    hash.Add('.');
    ++i;
  }
  hash.Add(last);
  return hash.value();
}

// What quantised files put beside the weights: GPTQ, AWQ, compressed-tensors,
// bitsandbytes, scaled fp8, SVDQuant.
constexpr auto kPacking = std::to_array<std::string_view>({"qzeros",
                                                           "scales",
                                                           "g_idx",
                                                           "weight_scale",
                                                           "weight_scale_inv",
                                                           "weight_scale_2",
                                                           "input_scale",
                                                           "weight_shape",
                                                           "weight_g_idx",
                                                           "weight_zero_point",
                                                           "absmax",
                                                           "quant_map",
                                                           "nested_absmax",
                                                           "nested_quant_map",
                                                           "SCB",
                                                           "weight_format",
                                                           "scale_weight",
                                                           "scale_input",
                                                           "scaled_fp8",
                                                           "comfy_quant",
                                                           "wscales",
                                                           "wcscales",
                                                           "wtscale",
                                                           "smooth",
                                                           "smooth_orig",
                                                           "smooth_factor",
                                                           "smooth_factor_orig",
                                                           "lora_down",
                                                           "lora_up",
                                                           "proj_down",
                                                           "proj_up",
                                                           "k_scale",
                                                           "v_scale"});
// The weights themselves under another word; they stand for a matrix.
constexpr auto kPacked = std::to_array<std::string_view>({"qweight", "weight_packed"});
constexpr std::string_view kWeight = "weight";
constexpr size_t kMatrixRank = 2;

template <size_t kSize>
bool Has(const std::array<std::string_view, kSize>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

uint64_t HashOfName(std::string_view name, size_t rank) {
  return HashOfWords(name, [](char c) { return c == '.'; }, static_cast<char>(rank));
}

uint64_t HashOfLayer(std::string_view name) {
  return HashOfWords(name, [](char c) { return c == '.' || c == '_'; }, 0);
}

void NameSet::Add(std::string_view name, std::span<const uint64_t> shape) {
  double elements = 1;
  for (const uint64_t dim : shape) elements *= static_cast<double>(dim);
  AddElements(name, shape, elements);
}

void NameSet::AddElements(std::string_view name, std::span<const uint64_t> shape, double elements) {
  const uint64_t hash = HashOfName(name, shape.size());
  if (const auto known = names_.find(hash); known != names_.end()) {
    known->second.elements += elements;
    return;
  }
  if (names_.size() >= kMaxNames) {
    ++left_out_;
    return;
  }
  Name added{name, shape, hash, false, elements};
  const size_t dot = name.rfind('.');
  const std::string_view word = dot == std::string_view::npos ? name : name.substr(dot + 1);
  added.packing = Has(kPacking, word) || word.starts_with("bitsandbytes__");
  if (Has(kPacked, word)) {
    std::string whole(name.substr(0, name.size() - word.size()));
    whole += kWeight;
    added.weight = HashOfName(whole, kMatrixRank);
  }
  names_.emplace(hash, added);
}

std::string_view NameSet::CommonWord() const {
  std::string_view common;
  for (const auto& [hash, name] : names_) {
    const size_t dot = name.text.find('.');
    if (dot == std::string_view::npos) return {};
    if (common.empty()) common = name.text.substr(0, dot + 1);
    if (!name.text.starts_with(common)) return {};
  }
  return common;
}

NameSet NameSet::Without(std::string_view common_word) const {
  NameSet rest;
  for (const auto& [hash, name] : names_) {
    rest.AddElements(name.text.substr(common_word.size()), name.shape, name.elements);
  }
  rest.left_out_ = left_out_;
  return rest;
}

}  // namespace warmset

#include "discover/similar_models.h"

#include <algorithm>
#include <array>

#include "inspect/weight_sets.h"

namespace warmset {
namespace {

// Words in names that say how the weights are stored, in lower case.
constexpr std::array<std::string_view, 52> kStorageWords = {
    // formats
    "gguf", "ggml", "onnx", "safetensors", "pytorch", "ckpt", "pt", "pth", "bin", "sft", "dduf",
    "jit", "hf", "mlx", "diffusers",
    // precisions
    "fp64", "fp32", "fp16", "fp8", "fp4", "bf16", "f32", "f16", "f8", "half", "float16",
    "float32", "bfloat16", "e4m3", "e4m3fn", "e5m2", "scaled", "mxfp4", "nvfp4", "nf4",
    // quantisations, and what checkpoints are stripped of
    "int8", "int4", "i8", "i4", "4bit", "8bit", "awq", "gptq", "bnb", "exl2", "quantized",
    "quant", "imat", "pruned", "emaonly", "ema", "fp"};
// Parts of GGUF's type names after "q4": "q4_k_m", "iq2_xxs", "q8_0".
constexpr std::array<std::string_view, 9> kQuantTails = {"k", "s",  "m",   "l", "xs",
                                                         "xxs", "nl", "0", "1"};

template <size_t N>
bool IsOneOf(std::string_view word, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// "q4", "iq2", "tq1".
bool IsQuantHead(std::string_view word) {
  if (word.starts_with("i") || word.starts_with("t")) word.remove_prefix(1);
  return word.size() == 2 && word[0] == 'q' && word[1] >= '1' && word[1] <= '8';
}

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::string_view("-_. :@()[]").find(c) != std::string_view::npos) {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return words;
}

std::string WithoutStorageWords(std::string_view text) {
  std::string left;
  bool in_quant = false;
  for (const std::string& word : Words(text)) {
    if (in_quant && IsOneOf(word, kQuantTails)) continue;
    in_quant = IsQuantHead(word);
    if (!in_quant && !IsOneOf(word, kStorageWords)) left += word;
  }
  return left;
}

bool Agree(const std::string& a, const std::string& b, std::string_view untold) {
  return a == b || a == untold || b == untold;
}

}  // namespace

std::string NameWithoutPrecision(std::string_view name) {
  // The first part from the end that is not what any model's weights are called.
  while (!name.empty()) {
    const size_t slash = name.rfind('/');
    const std::string_view part = slash == std::string_view::npos ? name : name.substr(slash + 1);
    name = slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
    const std::string left = WithoutStorageWords(part);
    if (!left.empty() && (!IsLibraryStem(part) || name.empty())) return left;
  }
  return {};
}

std::vector<const ModelSummary*> SimilarModels(const ModelSummary& model,
                                               std::span<const ModelSummary* const> all) {
  const std::string name = NameWithoutPrecision(model.name);
  std::vector<const ModelSummary*> similar;
  if (name.empty()) return similar;
  for (const ModelSummary* other : all) {
    if (other->id == model.id || other->verdict != Verdict::kOk) continue;
    const bool fits = Agree(other->architecture, model.architecture, "") &&
                      Agree(other->model_kind, model.model_kind, "model");
    if (fits && NameWithoutPrecision(other->name) == name) similar.push_back(other);
  }
  return similar;
}

}  // namespace warmset

#include "daemon/alternatives.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace warmset {
namespace {

constexpr size_t kMaxAlternatives = 5;

// What names say of formats and precisions, not of models.
constexpr std::array<std::string_view, 24> kPrecisions = {
    "safetensors", "gguf", "ggml", "pt",   "pth",  "ckpt", "bin",  "onnx",
    "pickle",      "fp32", "fp16", "bf16", "fp8",  "f32",  "f16",  "int8",
    "int4",        "nf4",  "awq",  "gptq", "e4m3", "e5m2", "pruned", "scaled"};

bool IsPrecision(std::string_view word) {
  if (std::find(kPrecisions.begin(), kPrecisions.end(), word) != kPrecisions.end()) return true;
  // Quantised blocks: "q4", "iq2", and what follows them.
  if (word.starts_with("iq")) word.remove_prefix(1);
  return word.size() >= 2 && word[0] == 'q' && std::isdigit(static_cast<unsigned char>(word[1]));
}

// "llama-3" of "TheBloke/Llama_3-Q4_K_M.gguf": its last part in lower case, up to
// the first word about the precision.
std::string Stem(std::string_view name) {
  name.remove_prefix(name.rfind('/') + 1);
  std::string stem;
  std::string word;
  const auto take_word = [&] {
    if (IsPrecision(word)) return false;
    if (!word.empty()) stem += (stem.empty() ? "" : "-") + word;
    word.clear();
    return true;
  };
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || byte >= 0x80) {
      word += static_cast<char>(std::tolower(byte));
    } else if (!take_word()) {
      return stem;
    }
  }
  take_word();
  return stem;
}

// Equal, or not known of one of them.
bool MayBeEqual(const std::string& a, const std::string& b) {
  return a == b || a.empty() || b.empty() || a == "model" || b == "model";
}

}  // namespace

std::vector<const Model*> AlternativesTo(const ModelRegistry& registry, const Model& model) {
  const ModelSummary& wanted = model.summary;
  const std::string stem = Stem(wanted.name);
  std::vector<const Model*> found;
  if (stem.empty()) return found;
  for (const auto& [name, other] : registry.all()) {
    const ModelSummary& summary = other->summary;
    if (summary.id == wanted.id || summary.verdict != Verdict::kOk || Stem(name) != stem ||
        !MayBeEqual(summary.model_kind, wanted.model_kind) ||
        !MayBeEqual(summary.architecture, wanted.architecture)) {
      continue;
    }
    found.push_back(other);
    if (found.size() == kMaxAlternatives) break;
  }
  return found;
}

std::vector<std::string> AlternativesOf(const ModelRegistry& registry, const Model& model) {
  std::vector<std::string> names;
  for (const Model* other : AlternativesTo(registry, model)) names.push_back(other->summary.name);
  return names;
}

}  // namespace warmset

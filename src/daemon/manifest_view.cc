#include "daemon/manifest_view.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

// Some keep whole training logs in their metadata; a message holds 16 MiB.
constexpr size_t kMaxValueBytes = 16 * 1024;
constexpr size_t kMaxMetadataBytes = 1024 * 1024;

// Not within a character of UTF-8.
std::string_view Cut(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

// "llama.context_length", as GGUF files have it.
void NoteContextLength(const std::string& key, const std::string& value, v1::ModelDetail& detail) {
  if (!key.ends_with(".context_length")) return;
  uint64_t tokens = 0;
  const char* const end = value.data() + value.size();
  if (std::from_chars(value.data(), end, tokens).ptr == end) detail.set_context_length(tokens);
}

uint64_t ElementsIn(const TensorIndex& index) {
  uint64_t elements = 0;
  for (uint64_t i = 0; i < index.tensor_count(); ++i) {
    elements += ElementsOf(index.tensor(i).shape).value_or(0);
  }
  return elements;
}

void AddMetadata(const TensorIndex& component, size_t& left, v1::ModelDetail& detail) {
  auto& metadata = *detail.mutable_metadata();
  for (const auto& [key, value] : component.metadata()) {
    NoteContextLength(key, value, detail);
    const std::string_view shown = Cut(value, kMaxValueBytes);
    if (metadata.contains(key)) continue;
    if (key.size() + shown.size() > left) return;
    left -= key.size() + shown.size();
    metadata[key] = std::string(shown) + (shown.size() < value.size() ? "…" : "");
  }
}

}  // namespace

v1::Finding FindingMessage(const Finding& finding) {
  v1::Finding message;
  message.set_category(std::string(FindingCategoryName(finding.category)));
  message.set_severity(finding.verdict == Verdict::kOk ? "warning" : "error");
  message.set_message(finding.message);
  message.set_path(finding.path);
  if (finding.offset) message.set_offset(*finding.offset);
  message.set_verdict(std::string(VerdictName(finding.verdict)));
  return message;
}

std::string QuantisationOf(const std::map<std::string, uint64_t>& dtype_bytes) {
  std::vector<std::pair<uint64_t, std::string_view>> quantised;
  for (const auto& [name, bytes] : dtype_bytes) {
    const DType dtype = DTypeFromName(name).value_or(DType::kInvalid);
    const bool few_bits = DTypeBits(dtype) > 0 && DTypeBits(dtype) < 8 && dtype != DType::kBool;
    if (IsQuantized(dtype) || few_bits || name.starts_with("F8_")) {
      quantised.emplace_back(bytes, name);
    }
  }
  std::stable_sort(quantised.begin(), quantised.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string_view> names;
  for (const auto& [bytes, name] : quantised) names.push_back(name);
  return fmt::format("{}", fmt::join(names, ", "));
}

v1::ModelDetail ManifestMessage(const Manifest& manifest) {
  v1::ModelDetail detail;
  detail.set_format_version(manifest.format_version);
  detail.set_unplaced_tensors(manifest.unplaced.size());
  for (const Finding& finding : manifest.findings) {
    *detail.add_findings() = FindingMessage(finding);
  }
  for (const Architecture& candidate : manifest.architectures) {
    v1::ArchitectureCandidate* message = detail.add_architectures();
    message->set_name(candidate.name);
    message->set_confidence(candidate.confidence);
    for (const std::string& line : candidate.evidence) message->add_evidence(line);
  }
  for (const std::string& name : manifest.requires_models) detail.add_requires_models(name);
  size_t left = kMaxMetadataBytes;
  for (const ComponentManifest& component : manifest.components) {
    v1::ComponentState* state = detail.add_components();
    state->set_name(component.name);
    for (const auto& [dtype, bytes] : component.dtype_bytes) {
      (*state->mutable_dtype_bytes())[dtype] = bytes;
    }
    const auto index = TensorIndex::Parse(AsBytes(component.tensor_index));
    if (!index.ok()) continue;
    state->set_parameters(ElementsIn(*index));
    AddMetadata(*index, left, detail);
  }
  return detail;
}

}  // namespace warmset

#include "daemon/manifest_view.h"

#include <string>
#include <string_view>

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

void AddMetadata(const ComponentManifest& component, size_t& left, v1::ModelDetail& detail) {
  const auto index = TensorIndex::Parse(AsBytes(component.tensor_index));
  if (!index.ok()) return;
  auto& metadata = *detail.mutable_metadata();
  for (const auto& [key, value] : index->metadata()) {
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
    AddMetadata(component, left, detail);
  }
  return detail;
}

}  // namespace warmset

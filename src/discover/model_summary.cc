#include "discover/model_summary.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "fmt/format.h"

namespace warmset {
namespace {

constexpr uint16_t kSummaryVersion = 5;
constexpr uint64_t kMaxText = 64 * 1024;

StatusOr<std::string> ReadText(ByteReader& in) {
  ASSIGN_OR_RETURN(const std::string_view text, in.ReadString(kMaxText));
  return std::string(text);
}

StatusOr<ManifestFile> ReadFile(ByteReader& in) {
  ManifestFile file;
  ASSIGN_OR_RETURN(file.path, ReadText(in));
  ASSIGN_OR_RETURN(file.claimed_hash, ReadText(in));
  ASSIGN_OR_RETURN(file.identity.device, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(file.identity.inode, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(file.identity.size, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(file.identity.mtime_ns, in.Read<int64_t>());
  ASSIGN_OR_RETURN(file.identity.ctime_ns, in.Read<int64_t>());
  return file;
}

// A text that others have, too.
StatusOr<SharedText> ReadShared(ByteReader& in, TextPool& texts) {
  ASSIGN_OR_RETURN(const std::string_view text, in.ReadString(kMaxText));
  return texts.Get(text);
}

StatusOr<ComponentSummary> ReadComponent(ByteReader& in, TextPool& texts) {
  ComponentSummary component;
  ASSIGN_OR_RETURN(component.name, ReadShared(in, texts));
  ASSIGN_OR_RETURN(component.type, ReadShared(in, texts));
  ASSIGN_OR_RETURN(const auto id, in.ReadBytes(component.id.bytes.size()));
  ASSIGN_OR_RETURN(component.id, ComponentId::FromBytes(id));
  ASSIGN_OR_RETURN(component.entry_bytes, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(component.tensor_count, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(const auto files, in.Read<uint32_t>());
  for (uint32_t i = 0; i < files; ++i) {
    ASSIGN_OR_RETURN(const auto file, in.Read<uint32_t>());
    component.files.push_back(file);
  }
  return component;
}

std::vector<uint32_t> FilesOf(const ComponentManifest& component) {
  std::vector<uint32_t> files;
  for (const FileRun& run : component.runs) files.push_back(run.file);
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  files.shrink_to_fit();
  return files;
}

}  // namespace

bool IsVariant(const ModelSummary& model, const ComponentSummary& component) {
  const std::string& name = component.name;
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return false;
  const std::string_view plain = std::string_view(name).substr(0, dot);
  return std::any_of(model.components.begin(), model.components.end(),
                     [&](const ComponentSummary& other) { return other.name == plain; });
}

void Describe(const Manifest& manifest, TextPool& texts, ModelSummary& summary) {
  summary.layout = manifest.layout;
  summary.format = texts.Get(manifest.format);
  summary.model_kind = texts.Get(manifest.kind);
  summary.architecture = texts.Get(manifest.architecture().name);
  summary.version = texts.Get(manifest.version);
  summary.verdict = manifest.verdict();
  summary.files = manifest.files;
  summary.components.clear();
  summary.components.reserve(manifest.components.size());
  for (const ComponentManifest& component : manifest.components) {
    summary.components.push_back({texts.Get(component.name), texts.Get(component.type),
                                  component.id, component.entry_bytes, component.tensor_count,
                                  FilesOf(component)});
  }
}

ModelRow ToRow(const ModelSummary& summary) {
  ByteWriter out;
  out.Write(kSummaryVersion);
  out.Write(static_cast<uint16_t>(summary.layout));
  out.WriteString(summary.folder);
  out.WriteString(summary.format);
  out.WriteString(summary.model_kind);
  out.WriteString(summary.architecture);
  out.WriteString(summary.version);
  out.WriteString(summary.commit);
  out.Write(static_cast<uint8_t>(summary.verdict));
  out.Write(static_cast<uint32_t>(summary.files.size()));
  for (const ManifestFile& file : summary.files) {
    out.WriteString(file.path);
    out.WriteString(file.claimed_hash);
    out.Write(file.identity.device);
    out.Write(file.identity.inode);
    out.Write(file.identity.size);
    out.Write(file.identity.mtime_ns);
    out.Write(file.identity.ctime_ns);
  }
  out.Write(static_cast<uint32_t>(summary.components.size()));
  for (const ComponentSummary& component : summary.components) {
    out.WriteString(component.name);
    out.WriteString(component.type);
    out.WriteBytes(component.id.bytes);
    out.Write(component.entry_bytes);
    out.Write(component.tensor_count);
    out.Write(static_cast<uint32_t>(component.files.size()));
    for (const uint32_t file : component.files) out.Write(file);
  }
  return {.id = summary.id,
          .name = summary.name,
          .root = summary.root,
          .path = summary.path(),
          .revision = summary.revision,
          .summary = out.Take()};
}

StatusOr<ModelSummary> FromRow(const ModelRow& row, TextPool& texts) {
  ByteReader in(AsBytes(row.summary));
  ASSIGN_OR_RETURN(const auto version, in.Read<uint16_t>());
  if (version != kSummaryVersion) {
    return Error(ErrorCode::kVersionMismatch, fmt::format("model summary version {}", version));
  }
  ModelSummary summary;
  summary.id = row.id;
  summary.revision = row.revision;
  summary.name = row.name;
  summary.root = texts.Get(row.root);
  ASSIGN_OR_RETURN(const auto layout, in.Read<uint16_t>());
  if (layout > static_cast<uint16_t>(ModelLayout::kOllama)) {
    return Error(ErrorCode::kCorruptedModel, "model summary: unknown layout");
  }
  summary.layout = static_cast<ModelLayout>(layout);
  ASSIGN_OR_RETURN(summary.folder, ReadShared(in, texts));
  ASSIGN_OR_RETURN(summary.format, ReadShared(in, texts));
  ASSIGN_OR_RETURN(summary.model_kind, ReadShared(in, texts));
  ASSIGN_OR_RETURN(summary.architecture, ReadShared(in, texts));
  ASSIGN_OR_RETURN(summary.version, ReadShared(in, texts));
  ASSIGN_OR_RETURN(summary.commit, ReadShared(in, texts));
  ASSIGN_OR_RETURN(const auto verdict, in.Read<uint8_t>());
  if (verdict > static_cast<uint8_t>(Verdict::kUnsafe)) {
    return Error(ErrorCode::kCorruptedModel, "model summary: unknown verdict");
  }
  summary.verdict = static_cast<Verdict>(verdict);
  ASSIGN_OR_RETURN(const auto files, in.Read<uint32_t>());
  for (uint32_t i = 0; i < files; ++i) {
    ASSIGN_OR_RETURN(ManifestFile file, ReadFile(in));
    summary.files.push_back(std::move(file));
  }
  ASSIGN_OR_RETURN(const auto components, in.Read<uint32_t>());
  for (uint32_t i = 0; i < components; ++i) {
    ASSIGN_OR_RETURN(ComponentSummary component, ReadComponent(in, texts));
    summary.components.push_back(std::move(component));
  }
  if (in.remaining() != 0) {
    return Error(ErrorCode::kCorruptedModel, "model summary: bytes after its end");
  }
  summary.SetPath(row.path);
  summary.files.shrink_to_fit();
  summary.components.shrink_to_fit();
  return summary;
}

}  // namespace warmset

#include "inspect/manifest.h"

#include <set>

#include "base/byte_reader.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

constexpr uint32_t kManifestMagic = 0x464D5357;  // "WSMF"
constexpr uint64_t kMaxText = 64 * kKiB;
constexpr uint64_t kRunAlignment = 4096;

Status Corrupt(std::string_view what) {
  return Error(ErrorCode::kCorruptedModel, fmt::format("manifest: {}", what));
}

void Write(ByteWriter& out, const ManifestFile& file) {
  out.WriteString(file.path);
  out.Write(file.identity.device);
  out.Write(file.identity.inode);
  out.Write(file.identity.size);
  out.Write(file.identity.mtime_ns);
  out.Write(file.identity.ctime_ns);
  out.WriteString(file.content_hash);
}

void Write(ByteWriter& out, const ComponentManifest& component) {
  out.WriteString(component.name);
  out.WriteString(component.type);
  out.WriteBytes(component.id.bytes);
  out.Write(component.entry_bytes);
  out.Write(static_cast<uint32_t>(component.runs.size()));
  for (const FileRun& run : component.runs) {
    out.Write(run.file);
    out.Write(run.file_offset);
    out.Write(run.bytes);
    out.Write(run.entry_offset);
  }
  out.WriteString(component.tensor_index);
}

void Write(ByteWriter& out, const Finding& finding) {
  out.WriteString(finding.path);
  out.WriteString(ErrorCodeName(finding.code));
  out.WriteString(finding.message);
}

StatusOr<std::string> ReadText(ByteReader& in, uint64_t max_bytes = kMaxText) {
  ASSIGN_OR_RETURN(const std::string_view text, in.ReadString(max_bytes));
  return std::string(text);
}

StatusOr<ManifestFile> ReadFile(ByteReader& in) {
  ManifestFile file;
  ASSIGN_OR_RETURN(file.path, ReadText(in));
  ASSIGN_OR_RETURN(file.identity.device, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(file.identity.inode, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(file.identity.size, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(file.identity.mtime_ns, in.Read<int64_t>());
  ASSIGN_OR_RETURN(file.identity.ctime_ns, in.Read<int64_t>());
  ASSIGN_OR_RETURN(file.content_hash, ReadText(in));
  return file;
}

StatusOr<FileRun> ReadRun(ByteReader& in) {
  FileRun run;
  ASSIGN_OR_RETURN(run.file, in.Read<uint32_t>());
  ASSIGN_OR_RETURN(run.file_offset, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(run.bytes, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(run.entry_offset, in.Read<uint64_t>());
  return run;
}

// Runs follow one another in the entry, stay inside their files, and are
// aligned but for the end of a file.
Status CheckRuns(const ComponentManifest& component, const std::vector<ManifestFile>& files) {
  uint64_t end = 0;
  for (const FileRun& run : component.runs) {
    if (run.file >= files.size()) return Corrupt("a run of a file that is not there");
    const uint64_t file_size = files[run.file].identity.size;
    const bool inside = run.file_offset <= file_size && run.bytes <= file_size - run.file_offset;
    if (!inside || run.bytes == 0) return Corrupt("a run that leaves its file");
    const bool aligned =
        run.file_offset % kRunAlignment == 0 &&
        (run.bytes % kRunAlignment == 0 || run.file_offset + run.bytes == file_size);
    if (!aligned) return Corrupt("a run that is not aligned");
    if (end > UINT64_MAX - kRunAlignment || run.entry_offset != AlignUp(end, kRunAlignment)) {
      return Corrupt("a run at the wrong place of the entry");
    }
    const auto next = CheckedAdd(run.entry_offset, run.bytes);
    if (!next) return Corrupt("an entry that is too large");
    end = *next;
  }
  return end == component.entry_bytes ? OkStatus()
                                      : Corrupt("an entry's size differs from its runs");
}

StatusOr<ComponentManifest> ReadComponent(ByteReader& in, const std::vector<ManifestFile>& files) {
  ComponentManifest component;
  ASSIGN_OR_RETURN(component.name, ReadText(in));
  ASSIGN_OR_RETURN(component.type, ReadText(in));
  ASSIGN_OR_RETURN(const auto id, in.ReadBytes(component.id.bytes.size()));
  ASSIGN_OR_RETURN(component.id, ComponentId::FromBytes(id));
  ASSIGN_OR_RETURN(component.entry_bytes, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(const auto run_count, in.Read<uint32_t>());
  for (uint32_t i = 0; i < run_count; ++i) {
    ASSIGN_OR_RETURN(const FileRun run, ReadRun(in));
    component.runs.push_back(run);
  }
  RETURN_IF_ERROR(CheckRuns(component, files));
  ASSIGN_OR_RETURN(component.tensor_index, ReadText(in, UINT32_MAX));
  RETURN_IF_ERROR(SetTensorTotals(component));
  return component;
}

StatusOr<Finding> ReadFinding(ByteReader& in) {
  Finding finding;
  ASSIGN_OR_RETURN(finding.path, ReadText(in));
  ASSIGN_OR_RETURN(const std::string code, ReadText(in));
  finding.code = ErrorCodeFromName(code);
  if (ErrorCodeName(finding.code) != code) return Corrupt("unknown error code");
  ASSIGN_OR_RETURN(finding.message, ReadText(in));
  return finding;
}

}  // namespace

std::string_view ModelKindName(ModelKind kind) {
  switch (kind) {
    case ModelKind::kFile:
      return "file";
    case ModelKind::kSharded:
      return "sharded";
    case ModelKind::kTransformers:
      return "transformers";
    case ModelKind::kDiffusers:
      return "diffusers";
  }
  return "?";
}

Status SetTensorTotals(ComponentManifest& component) {
  ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(AsBytes(component.tensor_index)));
  if (index.data_bytes() != component.entry_bytes) {
    return Corrupt("a tensor index of another size than its entry");
  }
  component.tensor_count = index.tensor_count();
  component.dtype_bytes = index.dtype_bytes();
  component.tensor_bytes = 0;
  for (const auto& [dtype, bytes] : component.dtype_bytes) component.tensor_bytes += bytes;
  return OkStatus();
}

std::string EncodeManifest(const Manifest& manifest) {
  ByteWriter out;
  out.Write(kManifestMagic);
  out.Write(kManifestVersion);
  out.Write(static_cast<uint16_t>(manifest.kind));
  out.WriteString(manifest.format);
  out.WriteString(manifest.architecture);
  const auto write_all = [&](const auto& items) {
    out.Write(static_cast<uint32_t>(items.size()));
    for (const auto& item : items) Write(out, item);
  };
  write_all(manifest.files);
  write_all(manifest.components);
  write_all(manifest.findings);
  return out.Take();
}

StatusOr<Manifest> DecodeManifest(std::string_view blob) {
  ByteReader in(AsBytes(blob));
  ASSIGN_OR_RETURN(const auto magic, in.Read<uint32_t>());
  if (magic != kManifestMagic) return Corrupt("wrong magic");
  ASSIGN_OR_RETURN(const auto version, in.Read<uint16_t>());
  if (version != kManifestVersion) {
    return Error(
        ErrorCode::kVersionMismatch,
        fmt::format("manifest version {}, this program knows {}", version, kManifestVersion));
  }
  Manifest manifest;
  ASSIGN_OR_RETURN(const auto kind, in.Read<uint16_t>());
  if (kind > static_cast<uint16_t>(ModelKind::kDiffusers)) return Corrupt("unknown kind of model");
  manifest.kind = static_cast<ModelKind>(kind);
  ASSIGN_OR_RETURN(manifest.format, ReadText(in));
  ASSIGN_OR_RETURN(manifest.architecture, ReadText(in));

  // Counts are not trusted with memory: every item takes some of the budget.
  ASSIGN_OR_RETURN(const auto file_count, in.Read<uint32_t>());
  for (uint32_t i = 0; i < file_count; ++i) {
    ASSIGN_OR_RETURN(ManifestFile file, ReadFile(in));
    manifest.files.push_back(std::move(file));
  }
  std::set<std::string_view> names;
  ASSIGN_OR_RETURN(const auto component_count, in.Read<uint32_t>());
  for (uint32_t i = 0; i < component_count; ++i) {
    ASSIGN_OR_RETURN(ComponentManifest component, ReadComponent(in, manifest.files));
    manifest.components.push_back(std::move(component));
  }
  for (const ComponentManifest& component : manifest.components) {
    if (!names.insert(component.name).second) return Corrupt("two components of one name");
  }
  ASSIGN_OR_RETURN(const auto finding_count, in.Read<uint32_t>());
  for (uint32_t i = 0; i < finding_count; ++i) {
    ASSIGN_OR_RETURN(Finding finding, ReadFinding(in));
    manifest.findings.push_back(std::move(finding));
  }
  if (in.remaining() != 0) return Corrupt("bytes after its end");
  return manifest;
}

}  // namespace warmset

#include "inspect/manifest.h"

#include <algorithm>
#include <bit>
#include <set>
#include <type_traits>

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
  out.WriteString(file.claimed_hash);
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

void Write(ByteWriter& out, const std::string& text) { out.WriteString(text); }
void Write(ByteWriter& out, const Architecture& architecture);
void Write(ByteWriter& out, const UnplacedTensor& tensor);
void Write(ByteWriter& out, const OperatorUse& use);
void Write(ByteWriter& out, const Finding& finding);

// A number of items, then each.
template <typename Item>
void WriteAll(ByteWriter& out, const std::vector<Item>& items) {
  out.Write(static_cast<uint32_t>(items.size()));
  for (const Item& item : items) {
    if constexpr (std::is_integral_v<Item>) {
      out.Write(item);
    } else {
      Write(out, item);
    }
  }
}

void Write(ByteWriter& out, const Architecture& architecture) {
  out.WriteString(architecture.name);
  out.Write(std::bit_cast<uint64_t>(architecture.confidence));
  WriteAll(out, architecture.evidence);
}

void Write(ByteWriter& out, const UnplacedTensor& tensor) {
  out.WriteString(tensor.name);
  out.Write(static_cast<uint16_t>(tensor.dtype));
  WriteAll(out, tensor.shape);
  WriteAll(out, tensor.strides);
  out.Write(tensor.file);
  out.Write(tensor.offset);
  out.Write(tensor.bytes);
}

void Write(ByteWriter& out, const OperatorUse& use) {
  out.WriteString(use.domain);
  out.WriteString(use.name);
  out.Write(use.opset);
  out.Write(use.count);
}

void Write(ByteWriter& out, const Finding& finding) {
  out.WriteString(finding.path);
  out.Write(static_cast<uint8_t>(finding.verdict));
  out.Write(static_cast<uint8_t>(finding.category));
  out.WriteString(finding.message);
  out.Write(static_cast<uint8_t>(finding.offset.has_value()));
  out.Write(finding.offset.value_or(0));
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
  ASSIGN_OR_RETURN(file.claimed_hash, ReadText(in));
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

// An item for each of a number of items. Counts are not trusted with memory: every
// item takes some of what is left.
template <typename Item, typename ReadItem>
Status ReadAll(ByteReader& in, std::vector<Item>& items, ReadItem read) {
  ASSIGN_OR_RETURN(const auto count, in.Read<uint32_t>());
  for (uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(Item item, read(in));
    items.push_back(std::move(item));
  }
  return OkStatus();
}

StatusOr<std::string> ReadPlainText(ByteReader& in) { return ReadText(in); }

// One of the values 0 to `last` of an enum.
template <typename Enum>
StatusOr<Enum> ReadEnum(ByteReader& in, Enum last) {
  ASSIGN_OR_RETURN(const auto value, in.Read<uint8_t>());
  if (value > static_cast<uint8_t>(last)) return Corrupt("an unknown kind of finding");
  return static_cast<Enum>(value);
}

StatusOr<Architecture> ReadArchitecture(ByteReader& in) {
  Architecture architecture;
  ASSIGN_OR_RETURN(architecture.name, ReadText(in));
  ASSIGN_OR_RETURN(const auto confidence, in.Read<uint64_t>());
  architecture.confidence = std::bit_cast<double>(confidence);
  if (!(architecture.confidence >= 0 && architecture.confidence <= 1)) {
    return Corrupt("a confidence outside of 0 to 1");
  }
  RETURN_IF_ERROR(ReadAll(in, architecture.evidence, ReadPlainText));
  return architecture;
}

StatusOr<UnplacedTensor> ReadUnplaced(ByteReader& in) {
  UnplacedTensor tensor;
  ASSIGN_OR_RETURN(tensor.name, ReadText(in, UINT32_MAX));
  ASSIGN_OR_RETURN(const auto dtype, in.Read<uint16_t>());
  tensor.dtype = static_cast<DType>(dtype);
  RETURN_IF_ERROR(ReadAll(in, tensor.shape, [](ByteReader& r) { return r.Read<uint64_t>(); }));
  RETURN_IF_ERROR(ReadAll(in, tensor.strides, [](ByteReader& r) { return r.Read<int64_t>(); }));
  ASSIGN_OR_RETURN(tensor.file, in.Read<uint32_t>());
  ASSIGN_OR_RETURN(tensor.offset, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(tensor.bytes, in.Read<uint64_t>());
  return tensor;
}

StatusOr<OperatorUse> ReadOperator(ByteReader& in) {
  OperatorUse use;
  ASSIGN_OR_RETURN(use.domain, ReadText(in));
  ASSIGN_OR_RETURN(use.name, ReadText(in));
  ASSIGN_OR_RETURN(use.opset, in.Read<uint64_t>());
  ASSIGN_OR_RETURN(use.count, in.Read<uint64_t>());
  return use;
}

StatusOr<Finding> ReadFinding(ByteReader& in) {
  Finding finding;
  ASSIGN_OR_RETURN(finding.path, ReadText(in));
  ASSIGN_OR_RETURN(finding.verdict, ReadEnum(in, Verdict::kUnsafe));
  ASSIGN_OR_RETURN(finding.category, ReadEnum(in, FindingCategory::kDtypeSupport));
  ASSIGN_OR_RETURN(finding.message, ReadText(in));
  ASSIGN_OR_RETURN(const auto has_offset, in.Read<uint8_t>());
  ASSIGN_OR_RETURN(const auto offset, in.Read<uint64_t>());
  if (has_offset > 1 || (has_offset == 0 && offset != 0)) return Corrupt("a flag that lies");
  if (has_offset == 1) finding.offset = offset;
  return finding;
}

}  // namespace

std::string_view ModelLayoutName(ModelLayout layout) {
  switch (layout) {
    case ModelLayout::kFile:
      return "file";
    case ModelLayout::kSharded:
      return "sharded";
    case ModelLayout::kTransformers:
      return "transformers";
    case ModelLayout::kDiffusers:
      return "diffusers";
    case ModelLayout::kOllama:
      return "ollama";
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

Verdict Manifest::verdict() const {
  Verdict worst = Verdict::kOk;
  for (const Finding& finding : findings) worst = std::max(worst, finding.verdict);
  return worst;
}

const Architecture& Manifest::architecture() const {
  static const Architecture none;
  return architectures.empty() ? none : architectures.front();
}

std::string EncodeManifest(const Manifest& manifest) {
  ByteWriter out;
  size_t most = 0;  // of what it takes, in large models
  for (const ComponentManifest& component : manifest.components) {
    most += component.tensor_index.size();
  }
  out.Reserve(most + most / 64);
  out.Write(kManifestMagic);
  out.Write(kManifestVersion);
  out.Write(static_cast<uint16_t>(manifest.layout));
  out.WriteString(manifest.format);
  out.WriteString(manifest.format_version);
  out.WriteString(manifest.version);
  out.WriteString(manifest.kind);
  WriteAll(out, manifest.architectures);
  WriteAll(out, manifest.requires_models);
  WriteAll(out, manifest.files);
  WriteAll(out, manifest.components);
  WriteAll(out, manifest.unplaced);
  WriteAll(out, manifest.operators);
  WriteAll(out, manifest.findings);
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
  ASSIGN_OR_RETURN(const auto layout, in.Read<uint16_t>());
  if (layout > static_cast<uint16_t>(ModelLayout::kOllama)) return Corrupt("unknown layout");
  manifest.layout = static_cast<ModelLayout>(layout);
  ASSIGN_OR_RETURN(manifest.format, ReadText(in));
  ASSIGN_OR_RETURN(manifest.format_version, ReadText(in));
  ASSIGN_OR_RETURN(manifest.version, ReadText(in));
  ASSIGN_OR_RETURN(manifest.kind, ReadText(in));
  RETURN_IF_ERROR(ReadAll(in, manifest.architectures, ReadArchitecture));
  RETURN_IF_ERROR(ReadAll(in, manifest.requires_models, ReadPlainText));
  RETURN_IF_ERROR(ReadAll(in, manifest.files, ReadFile));
  RETURN_IF_ERROR(ReadAll(in, manifest.components, [&manifest](ByteReader& reader) {
    return ReadComponent(reader, manifest.files);
  }));
  std::set<std::string_view> names;
  for (const ComponentManifest& component : manifest.components) {
    if (!names.insert(component.name).second) return Corrupt("two components of one name");
  }
  RETURN_IF_ERROR(ReadAll(in, manifest.unplaced, ReadUnplaced));
  for (const UnplacedTensor& tensor : manifest.unplaced) {
    if (tensor.file >= manifest.files.size()) return Corrupt("a tensor of a file that is not there");
  }
  RETURN_IF_ERROR(ReadAll(in, manifest.operators, ReadOperator));
  RETURN_IF_ERROR(ReadAll(in, manifest.findings, ReadFinding));
  if (in.remaining() != 0) return Corrupt("bytes after its end");
  return manifest;
}

}  // namespace warmset

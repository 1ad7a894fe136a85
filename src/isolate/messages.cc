#include "isolate/messages.h"

#include "base/byte_reader.h"
#include "base/digest.h"
#include "base/strong.h"

namespace warmset::border {
namespace {

constexpr uint64_t kMaxText = 64 * kKiB;

Status Broken(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

StatusOr<std::string> ReadText(ByteReader& in) {
  ASSIGN_OR_RETURN(const std::string_view text, in.ReadString(kMaxText));
  return std::string(text);
}

StatusOr<bool> ReadFlag(ByteReader& in) {
  ASSIGN_OR_RETURN(const auto flag, in.Read<uint8_t>());
  if (flag > 1) return Broken("a flag that is neither 0 nor 1");
  return flag == 1;
}

// Whatever a frame carries fills it.
Status CheckEnd(const ByteReader& in) {
  return in.remaining() == 0 ? OkStatus() : Broken("a frame with bytes after its end");
}

Status ReadError(std::string_view payload, Status& error) {
  ByteReader in(AsBytes(payload));
  ASSIGN_OR_RETURN(const std::string code, ReadText(in));
  ASSIGN_OR_RETURN(const std::string message, ReadText(in));
  ASSIGN_OR_RETURN(const bool has_offset, ReadFlag(in));
  ASSIGN_OR_RETURN(const auto offset, in.Read<uint64_t>());
  RETURN_IF_ERROR(CheckEnd(in));
  error = Error(ErrorCodeFromName(code), message);
  if (has_offset) error = AtOffset(error, offset);
  return OkStatus();
}

}  // namespace

Readiness ReadinessOf(uint32_t landlock_abi) {
  return {.program_version = WARMSET_VERSION,
          .manifest_version = kManifestVersion,
          .landlock_abi = landlock_abi};
}

std::string Encode(const Readiness& readiness) {
  ByteWriter out;
  out.WriteString(readiness.program_version);
  out.Write(readiness.manifest_version);
  out.Write(readiness.landlock_abi);
  return out.Take();
}

StatusOr<Readiness> DecodeReadiness(std::string_view payload) {
  ByteReader in(AsBytes(payload));
  Readiness readiness;
  ASSIGN_OR_RETURN(readiness.program_version, ReadText(in));
  ASSIGN_OR_RETURN(readiness.manifest_version, in.Read<uint16_t>());
  ASSIGN_OR_RETURN(readiness.landlock_abi, in.Read<uint32_t>());
  RETURN_IF_ERROR(CheckEnd(in));
  return readiness;
}

std::string Encode(const OpenRequest& request) {
  ByteWriter out;
  out.Write(static_cast<uint8_t>(request.other));
  out.WriteString(request.path.substr(0, kMaxText));
  return out.Take();
}

StatusOr<OpenRequest> DecodeOpenRequest(std::string_view payload) {
  ByteReader in(AsBytes(payload));
  OpenRequest request;
  ASSIGN_OR_RETURN(request.other, ReadFlag(in));
  ASSIGN_OR_RETURN(request.path, ReadText(in));
  RETURN_IF_ERROR(CheckEnd(in));
  return request;
}

std::string Encode(const ModelFiles& model) {
  ByteWriter out;
  out.Write(static_cast<uint8_t>(model.layout));
  out.WriteString(model.folder_kind);
  out.Write(static_cast<uint32_t>(model.files.size()));
  for (const ManifestFile& file : model.files) {
    out.WriteString(file.path);
    out.Write(file.identity.device);
    out.Write(file.identity.inode);
    out.Write(file.identity.size);
    out.Write(file.identity.mtime_ns);
    out.Write(file.identity.ctime_ns);
    out.WriteString(file.claimed_hash);
  }
  return out.Take();
}

StatusOr<ModelFiles> DecodeModelFiles(std::string_view payload) {
  ByteReader in(AsBytes(payload));
  ModelFiles model;
  ASSIGN_OR_RETURN(const auto layout, in.Read<uint8_t>());
  if (layout > static_cast<uint8_t>(ModelLayout::kOllama)) return Broken("an unknown layout");
  model.layout = static_cast<ModelLayout>(layout);
  ASSIGN_OR_RETURN(model.folder_kind, ReadText(in));
  ASSIGN_OR_RETURN(const auto count, in.Read<uint32_t>());
  for (uint32_t i = 0; i < count; ++i) {
    ManifestFile& file = model.files.emplace_back();
    ASSIGN_OR_RETURN(file.path, ReadText(in));
    ASSIGN_OR_RETURN(file.identity.device, in.Read<uint64_t>());
    ASSIGN_OR_RETURN(file.identity.inode, in.Read<uint64_t>());
    ASSIGN_OR_RETURN(file.identity.size, in.Read<uint64_t>());
    ASSIGN_OR_RETURN(file.identity.mtime_ns, in.Read<int64_t>());
    ASSIGN_OR_RETURN(file.identity.ctime_ns, in.Read<int64_t>());
    ASSIGN_OR_RETURN(file.claimed_hash, ReadText(in));
  }
  RETURN_IF_ERROR(CheckEnd(in));
  return model;
}

std::string Encode(const std::vector<std::string>& names) {
  ByteWriter out;
  out.Write(static_cast<uint32_t>(names.size()));
  for (const std::string& name : names) out.WriteString(name);
  return out.Take();
}

StatusOr<std::vector<std::string>> DecodeNames(std::string_view payload) {
  ByteReader in(AsBytes(payload));
  std::vector<std::string> names;
  ASSIGN_OR_RETURN(const auto count, in.Read<uint32_t>());
  for (uint32_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(std::string name, ReadText(in));
    names.push_back(std::move(name));
  }
  RETURN_IF_ERROR(CheckEnd(in));
  return names;
}

std::string Encode(const HubTree& tree) {
  ByteWriter out;
  out.Write(static_cast<uint32_t>(tree.files.size()));
  for (const HubFile& file : tree.files) {
    out.WriteString(file.path);
    out.Write(file.size);
    out.WriteString(file.claimed_hash);
  }
  return out.Take();
}

StatusOr<HubTree> DecodeHubTree(std::string_view payload) {
  ByteReader in(AsBytes(payload));
  HubTree tree;
  ASSIGN_OR_RETURN(const auto count, in.Read<uint32_t>());
  for (uint32_t i = 0; i < count; ++i) {
    HubFile file;
    ASSIGN_OR_RETURN(file.path, ReadText(in));
    ASSIGN_OR_RETURN(file.size, in.Read<uint64_t>());
    ASSIGN_OR_RETURN(file.claimed_hash, ReadText(in));
    const bool sorted = tree.files.empty() || tree.files.back().path < file.path;
    if (!sorted || !IsPathBelow(file.path)) return Broken("a path that can't be in a tree");
    if (!IsClaimedHash(file.claimed_hash)) return Broken("a hash that is none");
    tree.files.push_back(std::move(file));
  }
  RETURN_IF_ERROR(CheckEnd(in));
  return tree;
}

std::string Encode(const Status& error) {
  ByteWriter out;
  out.WriteString(ErrorCodeName(CodeOf(error)));
  out.WriteString(Message(error).substr(0, kMaxText));
  const std::optional<uint64_t> offset = OffsetOf(error);
  out.Write(static_cast<uint8_t>(offset.has_value()));
  out.Write(offset.value_or(0));
  return out.Take();
}

Status DecodeError(std::string_view payload) {
  Status error;
  const Status read = ReadError(payload, error);
  return read.ok() ? error : Annotate(read, "an error that can't be read");
}

}  // namespace warmset::border

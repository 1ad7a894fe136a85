#include "base/status.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "absl/strings/cord.h"
#include "fmt/format.h"

namespace warmset {
namespace {

constexpr char kPayloadUrl[] = "warmset/error_code";
constexpr char kOffsetUrl[] = "warmset/offset";
constexpr char kCandidatesUrl[] = "warmset/candidates";  // each ended by '\0'

struct CodeRow {
  ErrorCode code;
  std::string_view name;
  absl::StatusCode absl_code;
};

constexpr std::array kCodes = {
    CodeRow{ErrorCode::kInternal, "internal", absl::StatusCode::kInternal},
    CodeRow{ErrorCode::kInvalidRequest, "invalid_request", absl::StatusCode::kInvalidArgument},
    CodeRow{ErrorCode::kInvalidName, "invalid_name", absl::StatusCode::kInvalidArgument},
    CodeRow{ErrorCode::kModelNotFound, "model_not_found", absl::StatusCode::kNotFound},
    CodeRow{ErrorCode::kAmbiguousName, "ambiguous_name", absl::StatusCode::kInvalidArgument},
    CodeRow{ErrorCode::kComponentNotFound, "component_not_found", absl::StatusCode::kNotFound},
    CodeRow{ErrorCode::kTensorNotFound, "tensor_not_found", absl::StatusCode::kNotFound},
    CodeRow{ErrorCode::kFileNotFound, "file_not_found", absl::StatusCode::kNotFound},
    CodeRow{ErrorCode::kFileChanged, "file_changed", absl::StatusCode::kAborted},
    CodeRow{ErrorCode::kCorruptedModel, "corrupted_model", absl::StatusCode::kDataLoss},
    CodeRow{ErrorCode::kUnsupportedFormat, "unsupported_format", absl::StatusCode::kUnimplemented},
    CodeRow{ErrorCode::kAccessRestricted, "access_restricted", absl::StatusCode::kPermissionDenied},
    CodeRow{ErrorCode::kRamLimitExceeded, "ram_limit_exceeded",
            absl::StatusCode::kResourceExhausted},
    CodeRow{ErrorCode::kInsufficientDeviceMemory, "insufficient_device_memory",
            absl::StatusCode::kResourceExhausted},
    CodeRow{ErrorCode::kDeviceNotFound, "device_not_found", absl::StatusCode::kNotFound},
    CodeRow{ErrorCode::kDeviceUnavailable, "device_unavailable", absl::StatusCode::kUnavailable},
    CodeRow{ErrorCode::kInUse, "in_use", absl::StatusCode::kFailedPrecondition},
    CodeRow{ErrorCode::kNotCached, "not_cached", absl::StatusCode::kFailedPrecondition},
    CodeRow{ErrorCode::kNotLoaded, "not_loaded", absl::StatusCode::kFailedPrecondition},
    CodeRow{ErrorCode::kVersionMismatch, "version_mismatch",
            absl::StatusCode::kFailedPrecondition},
    CodeRow{ErrorCode::kPermissionDenied, "permission_denied",
            absl::StatusCode::kPermissionDenied},
    CodeRow{ErrorCode::kDaemonUnavailable, "daemon_unavailable", absl::StatusCode::kUnavailable},
    CodeRow{ErrorCode::kAlreadyRunning, "already_running", absl::StatusCode::kAlreadyExists},
    CodeRow{ErrorCode::kTimeout, "timeout", absl::StatusCode::kDeadlineExceeded},
    CodeRow{ErrorCode::kCancelled, "cancelled", absl::StatusCode::kCancelled},
    CodeRow{ErrorCode::kIoError, "io_error", absl::StatusCode::kUnavailable},
    CodeRow{ErrorCode::kInvalidConfig, "invalid_config", absl::StatusCode::kInvalidArgument},
    CodeRow{ErrorCode::kIncompatibleModel, "incompatible_model",
            absl::StatusCode::kFailedPrecondition},
    CodeRow{ErrorCode::kUnsafeModel, "unsafe_model", absl::StatusCode::kFailedPrecondition},
    CodeRow{ErrorCode::kIncompleteModel, "incomplete_model", absl::StatusCode::kDataLoss},
    CodeRow{ErrorCode::kUnrecognizedFormat, "unrecognized_format",
            absl::StatusCode::kUnimplemented},
};

const CodeRow& RowOf(ErrorCode code) {
  for (const CodeRow& row : kCodes) {
    if (row.code == code) return row;
  }
  return kCodes[0];
}

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

ErrorCode CodeForErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::kFileNotFound;
    case EACCES:
    case EPERM:
      return ErrorCode::kPermissionDenied;
    case ENOMEM:
      return ErrorCode::kRamLimitExceeded;
    default:
      return ErrorCode::kIoError;
  }
}

}  // namespace

std::string_view ErrorCodeName(ErrorCode code) { return RowOf(code).name; }

ErrorCode ErrorCodeFromName(std::string_view name) {
  for (const CodeRow& row : kCodes) {
    if (row.name == name) return row.code;
  }
  return ErrorCode::kInternal;
}

Status Error(ErrorCode code, std::string_view message) {
  const CodeRow& row = RowOf(code);
  Status status(row.absl_code, ToAbsl(message));
  status.SetPayload(kPayloadUrl, absl::Cord(ToAbsl(row.name)));
  return status;
}

Status ErrnoError(int error_number, std::string_view action) {
  char buffer[128];
  const char* reason = ::strerror_r(error_number, buffer, sizeof buffer);
  return Error(CodeForErrno(error_number), fmt::format("{}: {}", action, reason));
}

ErrorCode CodeOf(const Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  return payload ? ErrorCodeFromName(std::string(*payload)) : ErrorCode::kInternal;
}

Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  Status annotated = Error(CodeOf(status), fmt::format("{}: {}", context, Message(status)));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

Status AtOffset(Status error, uint64_t offset) {
  if (error.ok() || error.GetPayload(kOffsetUrl)) return error;
  // As a view: clang 19 and the library's GCC name Cord's constructor from a string differently.
  const std::string text = std::to_string(offset);
  error.SetPayload(kOffsetUrl, absl::Cord(ToAbsl(text)));
  return error;
}

std::optional<uint64_t> OffsetOf(const Status& error) {
  const auto payload = error.GetPayload(kOffsetUrl);
  if (!payload) return std::nullopt;
  return std::stoull(std::string(*payload));
}

Status WithCandidates(Status status, const std::vector<std::string>& candidates) {
  if (candidates.empty()) return status;
  std::string joined;
  for (const std::string& candidate : candidates) joined.append(candidate).push_back('\0');
  status.SetPayload(kCandidatesUrl, absl::Cord(joined));
  return status;
}

std::vector<std::string> CandidatesOf(const Status& status) {
  std::vector<std::string> candidates;
  const auto payload = status.GetPayload(kCandidatesUrl);
  if (!payload) return candidates;
  const std::string joined(*payload);
  for (size_t start = 0; start < joined.size();) {
    const size_t end = joined.find('\0', start);
    candidates.push_back(joined.substr(start, end - start));
    start = end + 1;
  }
  return candidates;
}

}  // namespace warmset

// Results and errors.
//
// Every fallible function returns Status or StatusOr<T>. An error made with
// Error() carries a stable ErrorCode that users and other processes may rely on
// (docs/errors.md), and a message that names the action, the object and what
// the user can do. Codes survive the wire; absl's own code is derived from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace warmset {

using absl::OkStatus;
using Status = absl::Status;
template <typename T>
using StatusOr = absl::StatusOr<T>;

// Stable names are the enumerators in snake_case, see ErrorCodeName().
// A new code goes at the end and into docs/errors.md.
enum class ErrorCode {
  kInternal,
  kInvalidRequest,
  kInvalidName,
  kModelNotFound,
  kAmbiguousName,
  kComponentNotFound,
  kTensorNotFound,
  kFileNotFound,
  kFileChanged,
  kCorruptedModel,
  kUnsupportedFormat,
  kAccessRestricted,
  kRamLimitExceeded,
  kInsufficientDeviceMemory,
  kDeviceNotFound,
  kDeviceUnavailable,
  kInUse,
  kNotCached,
  kNotLoaded,
  kVersionMismatch,
  kPermissionDenied,
  kDaemonUnavailable,
  kAlreadyRunning,
  kTimeout,
  kCancelled,
  kIoError,
  kInvalidConfig,
  kIncompatibleModel,
  kUnsafeModel,
  kIncompleteModel,
  kUnrecognizedFormat,
};

// "model_not_found" and so on; valid for the whole program.
std::string_view ErrorCodeName(ErrorCode code);

// The code with that name; kInternal for an unknown one (a newer peer).
ErrorCode ErrorCodeFromName(std::string_view name);

[[nodiscard]] Status Error(ErrorCode code, std::string_view message);

// Error(kIoError, "<action>: <strerror(error_number)>"); ENOENT, EACCES/EPERM
// and ENOMEM map to kFileNotFound, kPermissionDenied and kRamLimitExceeded.
[[nodiscard]] Status ErrnoError(int error_number, std::string_view action);

// The code of a status that is not OK; kInternal if it was not made by Error().
ErrorCode CodeOf(const Status& status);

// The same error with "<context>: " before its message; OK stays OK.
[[nodiscard]] Status Annotate(const Status& status, std::string_view context);

// The same error, which also says where in a file it was met, in bytes from the
// start. An offset that it has already stays. OK stays OK.
[[nodiscard]] Status AtOffset(Status error, uint64_t offset);
std::optional<uint64_t> OffsetOf(const Status& error);

// What the user may have meant, for kAmbiguousName and kModelNotFound.
[[nodiscard]] Status WithCandidates(Status status, const std::vector<std::string>& candidates);
std::vector<std::string> CandidatesOf(const Status& status);

inline std::string_view Message(const Status& status) {
  return {status.message().data(), status.message().size()};
}

}  // namespace warmset

// A function can't return from its caller, so these two stay macros.
#define WARMSET_CONCAT_INNER(a, b) a##b
#define WARMSET_CONCAT(a, b) WARMSET_CONCAT_INNER(a, b)
#define RETURN_IF_ERROR(expression)                                        \
  do {                                                                     \
    if (::warmset::Status warmset_status = (expression); !warmset_status.ok()) { \
      return warmset_status;                                               \
    }                                                                      \
  } while (false)
#define ASSIGN_OR_RETURN(target, expression) \
  ASSIGN_OR_RETURN_INNER(WARMSET_CONCAT(warmset_or_, __LINE__), target, expression)
#define ASSIGN_OR_RETURN_INNER(temporary, target, expression) \
  auto temporary = (expression);                              \
  if (!temporary.ok()) {                                      \
    return temporary.status();                                \
  }                                                           \
  target = std::move(temporary).value()

// What is said about a model: verdicts, and the findings that lead to them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace warmset {

// What becomes of a model, from good to bad. The verdict of a model is the worst
// of its findings'.
enum class Verdict : uint8_t {
  kOk = 0,
  kUnrecognized = 1,  // no format that is known here
  kUnsupported = 2,   // well-formed as far as it was read, but not to be used here
  kIncomplete = 3,    // a part is not there yet: a pointer, a download, a missing shard
  kRestricted = 4,    // its origin asks for a licence or a login
  kCorrupt = 5,       // it breaks the rules of its format
  kUnsafe = 6,        // its usual loader would run code, or leave the model's folder
};
// "ok", "unrecognized" and so on; valid for the whole program.
std::string_view VerdictName(Verdict verdict);

enum class FindingCategory : uint8_t {
  kFileCorruption = 0,
  kFormatVersion = 1,
  kUnsupportedOperations = 2,
  kAccessRestricted = 3,
  kUnsafeContent = 4,
  kDeviceMemory = 5,
  kDtypeSupport = 6,
};
// "file_corruption" and so on; valid for the whole program.
std::string_view FindingCategoryName(FindingCategory category);

// One thing that was noticed. A finding with verdict kOk is a warning; any other
// is an error.
struct Finding {
  std::string path;  // relative to the model's folder; empty: the model itself
  Verdict verdict = Verdict::kOk;
  FindingCategory category = FindingCategory::kFileCorruption;
  std::string message;  // the thing, the reason, and what to do
  std::optional<uint64_t> offset = std::nullopt;  // in the file

  friend bool operator==(const Finding&, const Finding&) = default;
};

// The finding that an error of a reader stands for: kUnsafeModel is unsafe,
// kAccessRestricted restricted, kIncompleteModel and kFileNotFound incomplete,
// kUnsupportedFormat unsupported, kUnrecognizedFormat unrecognized, everything else
// corrupt. Takes the error's offset over.
Finding FindingOf(const Status& error, std::string path);

// The error code of that verdict: the inverse of the above. REQUIRES: not kOk.
ErrorCode CodeOfVerdict(Verdict verdict);

}  // namespace warmset

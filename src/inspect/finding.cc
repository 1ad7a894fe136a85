#include "inspect/finding.h"

namespace warmset {
namespace {

struct Meaning {
  Verdict verdict;
  FindingCategory category;
};

Meaning MeaningOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnsafeModel:
      return {Verdict::kUnsafe, FindingCategory::kUnsafeContent};
    case ErrorCode::kAccessRestricted:
      return {Verdict::kRestricted, FindingCategory::kAccessRestricted};
    case ErrorCode::kIncompleteModel:
    case ErrorCode::kFileNotFound:
      return {Verdict::kIncomplete, FindingCategory::kFileCorruption};
    case ErrorCode::kUnsupportedFormat:
      return {Verdict::kUnsupported, FindingCategory::kFormatVersion};
    case ErrorCode::kUnrecognizedFormat:
      return {Verdict::kUnrecognized, FindingCategory::kFormatVersion};
    default:
      return {Verdict::kCorrupt, FindingCategory::kFileCorruption};
  }
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kUnrecognized:
      return "unrecognized";
    case Verdict::kUnsupported:
      return "unsupported";
    case Verdict::kIncomplete:
      return "incomplete";
    case Verdict::kRestricted:
      return "restricted";
    case Verdict::kCorrupt:
      return "corrupt";
    case Verdict::kUnsafe:
      return "unsafe";
  }
  return "?";
}

std::string_view FindingCategoryName(FindingCategory category) {
  switch (category) {
    case FindingCategory::kFileCorruption:
      return "file_corruption";
    case FindingCategory::kFormatVersion:
      return "format_version";
    case FindingCategory::kUnsupportedOperations:
      return "unsupported_operations";
    case FindingCategory::kAccessRestricted:
      return "access_restricted";
    case FindingCategory::kUnsafeContent:
      return "unsafe_content";
    case FindingCategory::kDeviceMemory:
      return "device_memory";
    case FindingCategory::kDtypeSupport:
      return "dtype_support";
  }
  return "?";
}

ErrorCode CodeOfVerdict(Verdict verdict) {
  switch (verdict) {
    case Verdict::kUnsafe:
      return ErrorCode::kUnsafeModel;
    case Verdict::kRestricted:
      return ErrorCode::kAccessRestricted;
    case Verdict::kIncomplete:
      return ErrorCode::kIncompleteModel;
    case Verdict::kUnsupported:
      return ErrorCode::kUnsupportedFormat;
    case Verdict::kUnrecognized:
      return ErrorCode::kUnrecognizedFormat;
    case Verdict::kOk:
    case Verdict::kCorrupt:
      break;
  }
  return ErrorCode::kCorruptedModel;
}

Finding FindingOf(const Status& error, std::string path) {
  const Meaning meaning = MeaningOf(CodeOf(error));
  return {.path = std::move(path),
          .verdict = meaning.verdict,
          .category = meaning.category,
          .message = std::string(Message(error)),
          .offset = OffsetOf(error)};
}

}  // namespace warmset

#include "daemon/model_errors.h"

namespace warmset {
namespace {

bool IsOfTheModel(ErrorCode code) {
  switch (code) {
    case ErrorCode::kFileNotFound:
    case ErrorCode::kFileChanged:
    case ErrorCode::kCorruptedModel:
    case ErrorCode::kUnsupportedFormat:
    case ErrorCode::kAccessRestricted:
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kIoError:
    case ErrorCode::kIncompatibleModel:
    case ErrorCode::kUnsafeModel:
    case ErrorCode::kIncompleteModel:
    case ErrorCode::kUnrecognizedFormat:
      return true;
    default:
      return false;
  }
}

}  // namespace

void NoteOutcome(Model& model, const Status& outcome) {
  if (outcome.ok() || IsOfTheModel(CodeOf(outcome))) model.last_error = outcome;
}

}  // namespace warmset

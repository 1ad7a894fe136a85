#include "inspect/onnx/read_state.h"

#include <utility>

#include "fmt/format.h"

namespace warmset::onnx {
namespace {

constexpr size_t kMaxShown = 80;
constexpr size_t kMaxFindings = 20;
constexpr int kMaxWarnings = 10;

}  // namespace

std::string Shown(std::string_view name) {
  const bool cut = name.size() > kMaxShown;
  std::string shown(name.substr(0, kMaxShown));
  for (char& c : shown) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) c = '?';
  }
  // No half of a UTF-8 sequence at the cut.
  if (cut) {
    while (!shown.empty() && (static_cast<unsigned char>(shown.back()) & 0x80) != 0) {
      shown.pop_back();
    }
    shown += "...";
  }
  return shown;
}

Status Budget::Take(uint64_t bytes) {
  if (bytes > left_) {
    left_ = 0;
    return Problems::Limit("its names and tables take more memory than is spent on one file");
  }
  left_ -= bytes;
  return OkStatus();
}

Status Problems::Limit(std::string_view what) {
  return Error(ErrorCode::kUnsupportedFormat, fmt::format("it is not read further: {}", what));
}

Status Problems::Note(const Status& error) {
  if (error.ok()) return error;
  switch (CodeOf(error)) {
    case ErrorCode::kCorruptedModel:
    case ErrorCode::kUnsafeModel:
    case ErrorCode::kIncompleteModel:
    case ErrorCode::kFileNotFound:
    case ErrorCode::kAccessRestricted:
    case ErrorCode::kPermissionDenied:
      Add(error);
      return OkStatus();
    default:
      return error;
  }
}

void Problems::Add(Status error) {
  if (worst_.ok()) {
    worst_ = std::move(error);
    return;
  }
  Finding before = FindingOf(worst_, "");
  Finding now = FindingOf(error, "");
  if (now.verdict > before.verdict) {
    worst_ = std::move(error);
    std::swap(now, before);
  }
  Push(std::move(now));
}

void Problems::Warn(std::string message) {
  if (warnings_ == kMaxWarnings) return;
  ++warnings_;
  Push({.path = "", .message = std::move(message)});
}

void Problems::Push(Finding finding) {
  if (contents_.findings.size() < kMaxFindings) contents_.findings.push_back(std::move(finding));
}

}  // namespace warmset::onnx

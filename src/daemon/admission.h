// Which models may be used, and what users are told about those that may not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "discover/model_summary.h"
#include "inspect/manifest.h"

namespace warmset {

// How a use treats a model with another verdict than ok.
enum class Admission {
  kRefused,    // cache, load, path
  kIfCached,   // attach: what somebody forced into RAM may be handed out
  kForced,     // cache --force: the components that could be listed
};

// The code of the verdict, with the worst reasons. `more` is the command that tells
// the rest. REQUIRES: the verdict is not kOk.
Status RefusalOf(const Manifest& manifest, std::string_view more);
// The same for a model without a tensor that could be cached, whatever its verdict;
// kIncompatibleModel where that is kOk.
Status NothingToUse(const Manifest& manifest, std::string_view more);

// A part of a model that a forced use leaves out, and why.
struct Skipped {
  std::string_view what;  // "model", "file", "component" or "tensor"
  std::string name;
  FindingCategory category = FindingCategory::kFileCorruption;
  std::string reason;
  Verdict verdict = Verdict::kOk;  // of the finding that says so
};
struct SkippedParts {
  std::vector<Skipped> parts;  // the first kMaxSkippedParts
  uint64_t total = 0;
};
inline constexpr size_t kMaxSkippedParts = 100;

// Every finding, every component that could not be listed, every tensor that
// can't be handed out as it lies in its file.
SkippedParts SkippedOf(const Manifest& manifest);

}  // namespace warmset

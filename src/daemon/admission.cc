#include "daemon/admission.h"

#include <algorithm>
#include <set>
#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

constexpr size_t kShownReasons = 3;

// "vae/model.pt: …", or "…" where the message names the file, or it is the only one.
std::string ReasonText(const Finding& finding, const Manifest& manifest) {
  const bool named = finding.path.empty() || manifest.files.size() == 1 ||
                     finding.message.starts_with(finding.path);
  return named ? finding.message : fmt::format("{}: {}", finding.path, finding.message);
}

// "model.pt: …; …; and 2 more", the worst first. Those of another verdict than the
// model's say theirs.
std::string Reasons(const Manifest& manifest) {
  std::vector<const Finding*> errors;
  for (const Finding& finding : manifest.findings) {
    if (finding.verdict != Verdict::kOk) errors.push_back(&finding);
  }
  std::stable_sort(errors.begin(), errors.end(),
                   [](const Finding* a, const Finding* b) { return a->verdict > b->verdict; });
  std::vector<std::string> texts;
  for (const Finding* finding : errors) {
    if (texts.size() == kShownReasons) break;
    const std::string text = ReasonText(*finding, manifest);
    texts.push_back(finding->verdict == manifest.verdict()
                        ? text
                        : fmt::format("{}: {}", VerdictName(finding->verdict), text));
  }
  const size_t left = errors.size() - texts.size();
  return fmt::format("{}{}", fmt::join(texts, "; "),
                     left == 0 ? "" : fmt::format("; and {} more", left));
}

// The part of a pipeline that a file is in; empty for a model without parts.
std::string ComponentOf(const Manifest& manifest, const std::string& path) {
  if (manifest.layout != ModelLayout::kDiffusers) return "";
  const size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

bool HasComponent(const Manifest& manifest, const std::string& name) {
  return std::any_of(manifest.components.begin(), manifest.components.end(),
                     [&](const ComponentManifest& component) {
                       return component.name == name || component.name.starts_with(name + ".");
                     });
}

std::string ReasonOf(const UnplacedTensor& tensor) {
  if (tensor.strides.empty()) {
    return "its elements are not stored as plain bytes, so there is nothing to map";
  }
  return fmt::format("it is stored with strides [{}] and not row by row; save it contiguous",
                     fmt::join(tensor.strides, ", "));
}

}  // namespace

Status RefusalOf(const Manifest& manifest, std::string_view more) {
  const Verdict verdict = manifest.verdict();
  return Error(CodeOfVerdict(verdict),
               fmt::format("{}, can't be used: {}; `{}` says more{}", VerdictName(verdict),
                           Reasons(manifest), more,
                           manifest.components.empty()
                               ? ""
                               : ", `warmset cache --force` takes what can be read of it"));
}

Status NothingToUse(const Manifest& manifest, std::string_view more) {
  const Verdict verdict = manifest.verdict();
  if (verdict == Verdict::kOk) {
    return Error(ErrorCode::kIncompatibleModel,
                 fmt::format("none of its {} tensors lies in its file as plain elements, so there "
                             "is nothing to cache; `{}` says more",
                             manifest.unplaced.size(), more));
  }
  return Error(CodeOfVerdict(verdict),
               fmt::format("{}, can't be used, not with --force either: {}; `{}` says more",
                           VerdictName(verdict), Reasons(manifest), more));
}

SkippedParts SkippedOf(const Manifest& manifest) {
  SkippedParts skipped;
  const auto add = [&](Skipped part) {
    ++skipped.total;
    if (skipped.parts.size() < kMaxSkippedParts) skipped.parts.push_back(std::move(part));
  };
  std::set<std::string> missing;
  for (const Finding& finding : manifest.findings) {
    add({finding.path.empty() ? "model" : "file", finding.path, finding.category, finding.message,
         finding.verdict});
    const std::string component = ComponentOf(manifest, finding.path);
    if (finding.verdict == Verdict::kOk || component.empty() ||
        HasComponent(manifest, component) || !missing.insert(component).second) {
      continue;
    }
    add({"component", component, finding.category,
         fmt::format("none of its weights could be listed, see {}", finding.path),
         finding.verdict});
  }
  for (const UnplacedTensor& tensor : manifest.unplaced) {
    add({"tensor", tensor.name, FindingCategory::kDtypeSupport, ReasonOf(tensor),
         Verdict::kUnsupported});
  }
  return skipped;
}

}  // namespace warmset

#include "inspect/onnx/runtime_profiles.h"

#include <algorithm>
#include <set>
#include <utility>

#include "fmt/format.h"

namespace warmset {
namespace {

constexpr OperatorHistory kStandard[] = {
#include "inspect/onnx/standard_operators.inc"
};

constexpr OperatorHistory kOnnxRuntime[] = {
#include "inspect/onnx/onnxruntime_operators.inc"
};

constexpr RuntimeProfile kProfiles[] = {
    {kStandardProfile, "the ONNX standard, as of onnx 1.23", {}},
    {"onnxruntime", "ONNX Runtime 1.32 without libraries of custom operators", kOnnxRuntime},
};

// The standard's domains and their newest versions: onnx.helper.VERSION_TABLE of
// onnx 1.23, and onnx.defs for the preview domains. ai.onnx 27 is the last release.
struct StandardDomain {
  std::string_view name;
  int64_t newest;
};
constexpr StandardDomain kStandardDomains[] = {
    {"", 28},
    {"ai.onnx.ml", 5},
    {"ai.onnx.preview", 1},
    {"ai.onnx.preview.training", 1},
    {"ai.onnx.training", 1},
};

constexpr size_t kMaxFindings = 10;

std::string_view Shown(std::string_view domain) { return domain.empty() ? "ai.onnx" : domain; }

// The table is sorted by domain and name, as bytes.
const OperatorHistory* Find(std::span<const OperatorHistory> table, const OperatorUse& use) {
  const auto key = [](const auto& row) {
    return std::pair<std::string_view, std::string_view>(row.domain, row.name);
  };
  const auto found = std::lower_bound(
      table.begin(), table.end(), key(use),
      [&](const OperatorHistory& row, const auto& wanted) { return key(row) < wanted; });
  return found != table.end() && key(*found) == key(use) ? &*found : nullptr;
}

// Whether the change is an operator's first and deprecates it at once: it was defined
// wrongly (GroupNormalization 18). Tried with onnx 1.23 and ONNX Runtime 1.32: the
// checker refuses it, ONNX Runtime runs it. What was taken away later runs in neither.
bool IsDeprecatedFromStart(const OperatorHistory& history, int change) {
  return change < 0 && change == history.versions.front();
}

// The change of an operator that holds at that version of its domain; 0: it is not
// there yet.
int ChangeAt(const OperatorHistory& history, uint64_t opset) {
  int last = 0;
  for (const int8_t version : history.versions) {
    if (version == 0 || static_cast<uint64_t>(std::abs(version)) > opset) break;
    last = version;
  }
  return last;
}

// What keeps an operator from being used at that version of its domain; empty
// when nothing does.
std::string Fault(const OperatorHistory& history, uint64_t opset) {
  const int last = ChangeAt(history, opset);
  if (last > 0) return {};
  if (last < 0) return fmt::format("it was taken away in version {}", -last);
  return fmt::format("it exists since version {}", std::abs(history.versions.front()));
}

Finding Unsupported(const OperatorUse& use, std::string_view why) {
  return {.path = "",
          .verdict = Verdict::kUnsupported,
          .category = FindingCategory::kUnsupportedOperations,
          .message = fmt::format("operator {} of {} version {} ({} times): {}", use.name,
                                 Shown(use.domain), use.opset, use.count, why)};
}

Finding Deprecated(const OperatorUse& use, const RuntimeProfile& profile) {
  if (profile.name == kStandardProfile) {
    return Unsupported(use,
                       "the standard deprecates this version; convert the model with "
                       "onnx.version_converter");
  }
  return {.path = "",
          .category = FindingCategory::kUnsupportedOperations,
          .message =
              fmt::format("operator {} of {} version {} ({} times): the standard deprecates "
                          "this version and onnx.checker refuses it, {} runs it; "
                          "onnx.version_converter makes a newer one of it",
                          use.name, Shown(use.domain), use.opset, use.count, profile.description)};
}

}  // namespace

std::span<const RuntimeProfile> RuntimeProfiles() { return kProfiles; }

const RuntimeProfile* FindRuntimeProfile(std::string_view name) {
  const auto* found = std::find_if(std::begin(kProfiles), std::end(kProfiles),
                                   [&](const RuntimeProfile& p) { return p.name == name; });
  return found == std::end(kProfiles) ? nullptr : found;
}

std::optional<int64_t> NewestOpset(std::string_view domain) {
  for (const StandardDomain& known : kStandardDomains) {
    if (known.name == domain) return known.newest;
  }
  return std::nullopt;
}

std::vector<Finding> CheckOperators(std::span<const OperatorUse> operators,
                                    std::string_view profile_name) {
  const RuntimeProfile* profile = FindRuntimeProfile(profile_name);
  if (profile == nullptr) profile = FindRuntimeProfile(kStandardProfile);
  std::vector<Finding> findings;
  std::set<std::string_view> added_domains;
  size_t left_out = 0;
  const auto add = [&](Finding finding) {
    if (findings.size() < kMaxFindings) {
      findings.push_back(std::move(finding));
    } else {
      ++left_out;
    }
  };
  for (const OperatorUse& use : operators) {
    const auto newest = NewestOpset(use.domain);
    // A version that is not known is a finding of its own, about the file's format.
    if (newest && use.opset > static_cast<uint64_t>(*newest)) continue;
    const OperatorHistory* standard = Find(kStandard, use);
    const OperatorHistory* added = Find(profile->added, use);
    if (standard != nullptr) {
      if (const int change = ChangeAt(*standard, use.opset);
          IsDeprecatedFromStart(*standard, change)) {
        add(Deprecated(use, *profile));
        continue;
      }
      std::string fault = Fault(*standard, use.opset);
      if (fault.empty()) continue;
      add(Unsupported(use, fault + "; convert the model with onnx.version_converter"));
    } else if (added != nullptr) {
      const std::string fault = Fault(*added, use.opset);
      if (fault.empty()) {
        added_domains.insert(use.domain);
      } else {
        add(Unsupported(use, fmt::format("in {}, {}", profile->description, fault)));
      }
    } else if (newest) {
      add(Unsupported(use, fmt::format("neither the standard nor {} has it; export the model "
                                       "again with operators of the standard",
                                       profile->description)));
    } else {
      add(Unsupported(use, fmt::format("it is not in {}; it needs a library of custom operators",
                                       profile->description)));
    }
  }
  if (left_out != 0) findings.back().message += fmt::format(" (and {} more operators)", left_out);
  for (const std::string_view domain : added_domains) {
    findings.push_back({.path = "",
                        .category = FindingCategory::kUnsupportedOperations,
                        .message = fmt::format("it uses operators of {} that only {} has",
                                               Shown(domain), profile->description)});
  }
  return findings;
}

}  // namespace warmset

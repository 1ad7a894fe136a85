// Which operators a runtime has: the standard's, by the history of each, and what
// the runtime adds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/finding.h"
#include "inspect/format_reader.h"

namespace warmset {

// The versions of its domain that changed an operator, oldest first; a negative
// one took it away. The rest is 0.
struct OperatorHistory {
  std::string_view domain;  // "" stands for ai.onnx
  std::string_view name;
  std::array<int8_t, 12> versions;
};

struct RuntimeProfile {
  std::string_view name;
  std::string_view description;            // with the version that it was taken from
  std::span<const OperatorHistory> added;  // beyond the standard, by domain and name
};

inline constexpr std::string_view kStandardProfile = "onnx";
inline constexpr std::string_view kDefaultProfile = "onnxruntime";

// All profiles; valid for the whole program.
std::span<const RuntimeProfile> RuntimeProfiles();
// nullptr when there is none of that name.
const RuntimeProfile* FindRuntimeProfile(std::string_view name);

// The newest version of a domain of the standard; nothing for other domains.
std::optional<int64_t> NewestOpset(std::string_view domain);

// A finding for each operator that the profile does not have at its opset
// (unsupported_operations, unsupported), and warnings for domains that not every
// runtime has. A profile that is not known counts as the standard alone.
std::vector<Finding> CheckOperators(std::span<const OperatorUse> operators,
                                    std::string_view profile);

}  // namespace warmset

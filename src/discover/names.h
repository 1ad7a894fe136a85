// What models are called.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"

namespace warmset {

inline constexpr size_t kMaxModelNameBytes = 200;

struct NameRequest {
  std::string_view base;    // the name if nobody else has it
  std::string_view parent;  // folder whose last parts are put before it if need be
  ModelId id;               // decides when all else is equal
};

// A name for each request, all different and none of those taken: its base, with
// as many folders before it as tell it from its namesakes. Does not depend on
// the order of the requests. Longer ones than kMaxModelNameBytes are cut and
// marked with their id. REQUIRES: the ids differ.
std::vector<std::string> UniqueNames(std::span<const NameRequest> requests,
                                     const std::set<std::string>& taken);

}  // namespace warmset

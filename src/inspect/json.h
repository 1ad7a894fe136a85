// What the formats that are written in JSON share.
#pragma once

#include <cstddef>
#include <string_view>

#include "simdjson.h"

namespace warmset {

// Looks at all of a value, so that a mistake anywhere in it is found; nesting
// deeper than max_depth is DEPTH_ERROR.
simdjson::error_code ValidateJson(simdjson::ondemand::value value, size_t max_depth);

// "a number is out of range" and so on; valid for the whole program.
std::string_view JsonErrorText(simdjson::error_code error);

}  // namespace warmset

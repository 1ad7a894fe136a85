// What the formats that are written in JSON share.
#pragma once

#include <string_view>

#include "simdjson.h"

namespace warmset {

// "a number is out of range" and so on; valid for the whole program.
std::string_view JsonErrorText(simdjson::error_code error);

}  // namespace warmset

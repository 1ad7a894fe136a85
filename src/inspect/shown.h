// Names from files, made fit to be shown.
#pragma once

#include <string>
#include <string_view>

namespace warmset {

// The text as it is when it is short UTF-8 without control characters; else its
// beginning, with everything that is not printable ASCII as \xNN.
std::string Shown(std::string_view text);

}  // namespace warmset

// Text that came from anywhere, made fit to be shown and sent on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace warmset {

// RFC 3629: shortest forms, no surrogates, at most U+10FFFF.
bool IsUtf8(std::string_view text);

// text with U+FFFD in place of every byte that is not part of valid UTF-8.
std::string ToUtf8(std::string_view text);

}  // namespace warmset

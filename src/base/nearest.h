// Which known words a mistyped one may have been meant for.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warmset {

// At most three candidates, the nearest first: those that contain the text or are
// contained in it, and those that a third of its letters turns it into. Case does
// not matter.
std::vector<std::string_view> NearTo(std::string_view text,
                                     std::span<const std::string_view> candidates);

// "; the nearest are 'a' and 'b'", or nothing where none is near.
std::string NearText(std::string_view text, std::span<const std::string_view> candidates);

// ASCII letters as small ones.
std::string LowerCase(std::string_view text);

}  // namespace warmset

// How far a word is from another one, for suggestions.
#pragma once

#include <cstddef>
#include <string_view>

namespace warmset {

// How many insertions, deletions, replacements and swaps of neighbours turn one
// text into the other (optimal string alignment), byte by byte.
size_t EditDistance(std::string_view a, std::string_view b);

// The same to the beginning of `b` that is nearest to `a`: a few letters of a long
// name, with a slip in them, are near to it.
size_t EditDistanceToStart(std::string_view a, std::string_view b);

}  // namespace warmset

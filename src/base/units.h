// Sizes and durations as people write and read them.
#pragma once

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong.h"

namespace warmset {

// "8GiB" (binary), "12GB" (decimal), "512MiB", "1073741824", or "50%" of whole.
// Case does not matter, a space before the unit and fractions are accepted.
// kInvalidConfig with an example of what is accepted.
StatusOr<ByteCount> ParseSize(std::string_view text, ByteCount whole);

// "90s", "30m", "1h 30m", "2d"; kInvalidConfig with an example of what is accepted.
StatusOr<std::chrono::seconds> ParseDuration(std::string_view text);

// Three significant digits with a binary unit: "0 B", "37.8 MiB", "1.50 GiB".
std::string FormatSize(ByteCount bytes);

// Sizes that stand in one sentence: likewise, with as many more digits as it takes
// for different sizes to read differently.
std::vector<std::string> FormatSizes(std::initializer_list<ByteCount> sizes);

// "420 ms", "3.2 s", "5m 12s", "2h 3m", "4d 7h".
std::string FormatDuration(std::chrono::nanoseconds duration);

}  // namespace warmset

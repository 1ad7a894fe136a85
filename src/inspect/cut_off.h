// Files that end before what they promise: half a download, mostly.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace warmset {

// What is promised beyond it is damage, not something to be downloaded: no model's
// file is so large.
inline constexpr uint64_t kMaxPlausibleFileBytes = uint64_t{1} << 44;

// "it is cut off: 5 of 9 bytes are there; download it again": kIncompleteModel, and
// kCorruptedModel when no file is as large as promised. The offset is the file's end.
Status CutOff(uint64_t bytes_there, uint64_t bytes_promised);

// The same where the file ends before it says how long it is. where: "its header".
Status CutOffWithin(uint64_t bytes_there, std::string_view where);

}  // namespace warmset

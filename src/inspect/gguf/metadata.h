// The key-value section of a GGUF file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "inspect/byte_source.h"
#include "inspect/format_reader.h"

namespace warmset {

// The least that a pair takes: a key of one byte and a value of one.
inline constexpr uint64_t kMinGgufPairBytes = 8 + 1 + 4 + 1;

// The length of the string that follows: at most 2^30, and no more than is left.
StatusOr<uint64_t> ReadGgufStringLength(SourceReader& in);

// Text of the file as it may stand in a message: valid UTF-8, not too long.
std::string ForMessage(std::string_view text);

// Reads so many pairs. Scalars, beginnings of strings, and the lengths of arrays
// go to contents.metadata, as far as they have room there; what is odd but
// harmless becomes a finding. Returns general.alignment, which is 32 where it is
// not given.
StatusOr<uint64_t> ReadGgufMetadata(SourceReader& in, uint64_t pairs, FileContents& contents);

}  // namespace warmset

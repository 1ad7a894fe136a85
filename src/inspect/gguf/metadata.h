// The key-value section of a GGUF file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "inspect/byte_source.h"
#include "inspect/format_reader.h"

namespace warmset {

// The least that a pair takes: a key of one byte and a value of one.
inline constexpr uint64_t kMinGgufPairBytes = 8 + 1 + 4 + 1;

// Our own limit: more than any model has.
inline constexpr uint64_t kMaxGgufPairs = uint64_t{1} << 20;

// The length of the string that follows: at most 2^30, and no more than is left.
StatusOr<uint64_t> ReadGgufStringLength(SourceReader& in);

// Text of the file as it may stand in a message: valid UTF-8, not too long.
std::string ForMessage(std::string_view text);

// What the metadata says of how the tensors are to be read.
struct GgufTensorHints {
  uint64_t alignment = 32;  // general.alignment
  // Shapes of tensors before they were reshaped to fit ggml's blocks, outermost first,
  // by tensor: comfy.gguf.orig_shape.NAME. Source: ComfyUI-GGUF's loader.py.
  std::unordered_map<std::string, std::vector<uint64_t>> original_shapes;
};

// Reads so many pairs. Scalars, beginnings of strings, and the lengths of arrays
// go to contents.metadata, as far as they have room there; what is odd but
// harmless becomes a finding.
StatusOr<GgufTensorHints> ReadGgufMetadata(SourceReader& in, uint64_t pairs,
                                           FileContents& contents);

}  // namespace warmset

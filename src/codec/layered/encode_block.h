// Encoding one block of the layered codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/layered/kernels.h"
#include "codec/stream_format.h"
#include "tensor/dtype.h"

namespace warmset::codec {

// Buffers for a block in the making.
struct EncodeScratch {
  static constexpr size_t kArrayBytes = kMaxBlockElements + kArrayPadding;

  std::vector<uint8_t> symbols = std::vector<uint8_t>(kArrayBytes);
  std::vector<uint8_t> verbatim = std::vector<uint8_t>(kArrayBytes);
  std::vector<uint8_t> low_bits = std::vector<uint8_t>(kArrayBytes);
  // At most 15 planes: as many layers of one bit as there are ranks.
  std::vector<uint8_t> layers = std::vector<uint8_t>(kMaxRank * kMaxBlockElements / 8);
};

// The most bytes that EncodeLayeredBlock writes.
uint64_t LayeredBlockBound(uint64_t bytes);

// Writes one block, whichever form is smallest, and returns its bytes.
// REQUIRES: elements is 1 to kMaxBlockElements elements of a dtype that the
// codec supports; block has LayeredBlockBound(elements.size()) bytes.
uint64_t EncodeLayeredBlock(const Kernels& kernels, std::span<const std::byte> elements,
                            DType dtype, std::span<std::byte> block, EncodeScratch& scratch);

}  // namespace warmset::codec

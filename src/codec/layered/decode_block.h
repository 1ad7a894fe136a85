// Decoding one block of the layered codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "codec/layered/kernels.h"
#include "codec/stream_format.h"
#include "tensor/dtype.h"

namespace warmset::codec {

struct DecodeScratch {
  static constexpr size_t kArrayBytes = kMaxBlockElements + kArrayPadding;

  // The ranks of two neighbouring layers.
  std::vector<uint8_t> ranks = std::vector<uint8_t>(kArrayBytes);
  std::vector<uint8_t> survivors = std::vector<uint8_t>(kArrayBytes);
  // Whole groups of elements, where the output has a part of one.
  std::vector<std::byte> elements;
};

struct DecodeTarget {
  std::span<std::byte> elements;
  // The block that is decoded next, or nothing.
  std::span<const std::byte> next_block;
  // Receives its checksum if that was made along the way.
  std::optional<uint64_t>* next_checksum = nullptr;
  bool non_temporal = false;
};

// kCorruptedModel for a block that no encoder wrote; target.elements then holds
// anything. kStreamPadding bytes behind the block must be readable.
// REQUIRES: target.elements is 1 to kMaxBlockElements elements of dtype.
Status DecodeLayeredBlock(const Kernels& kernels, std::span<const std::byte> block, DType dtype,
                          const DecodeTarget& target, DecodeScratch& scratch);

}  // namespace warmset::codec

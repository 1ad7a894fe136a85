// Decoding one block of the layered codec.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "codec/layered/kernels.h"
#include "codec/stream_format.h"
#include "tensor/dtype.h"

namespace warmset::codec {

struct DecodeScratch {
  // On cache lines: a vector that is stored across two of them costs double.
  struct alignas(64) Array {
    uint8_t bytes[kMaxBlockElements + kArrayPadding] = {};
  };

  // The ranks of two neighbouring layers.
  std::unique_ptr<Array> ranks = std::make_unique<Array>();
  std::unique_ptr<Array> survivors = std::make_unique<Array>();
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

// The checksum of a block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "codec/layered/kernels.h"

namespace warmset::codec {

// Fletcher's sums over eight 64-bit lanes, digested to 64 bits (defined in
// docs/formats/layered-bit-planes.md). Any damage within one 64-bit word, and
// any two damaged words of one lane, are found for certain; other damage goes
// unnoticed once in 2^64. It reads at about the speed of the cache, where a
// hash or CRC would cost a quarter of a decoder's speed.
// REQUIRES: data.size() is a multiple of 64.
uint64_t BlockChecksum(std::span<const std::byte> data);

// The checksum of data whose sums were made elsewhere.
uint64_t FinishChecksum(const ChecksumState& sums);

}  // namespace warmset::codec

// How the bits of an element are divided.
//
// 64 consecutive elements make a group. Of each element a few bits are its
// symbol, which is coded by its rank (kernels.h); the others are stored as they
// are, as whole bytes or as planes of one bit. docs/formats/layered-bit-planes.md
// draws each arrangement bit by bit.
//
// Compiled with other instruction sets too, so it holds constants only.
#pragma once

#include <cstddef>
#include <cstdint>

namespace warmset::codec {

inline constexpr size_t kGroupElements = 64;

// Numbers of the format: append, never renumber.
enum class Arrangement : uint8_t {
  kBF16 = 0,
  kF32 = 1,
  kF32HighHalf = 2,  // every low half is zero: F32 that was cast from BF16
  kF16 = 3,
  // The low three bits are zero, subnormal numbers apart: F16 cast from BF16.
  kF16ShortMantissa = 4,
  kF8E4M3 = 5,
  kF8E5M2 = 6,
  kInteger1 = 7,  // 8-bit integers with 1 to 4 low bits outside of the symbol
  kInteger2 = 8,
  kInteger3 = 9,
  kInteger4 = 10,
};
inline constexpr Arrangement kLastArrangement = Arrangement::kInteger4;

struct ArrangementLayout {
  uint8_t element_bytes;
  uint8_t symbol_bits;
  uint8_t group_bytes;   // bytes of a group in the byte section
  uint8_t group_planes;  // 64-bit words of a group in the plane section
};

inline constexpr ArrangementLayout kArrangementLayouts[] = {
    {2, 8, 64, 0},   // kBF16: sign and mantissa
    {4, 8, 192, 0},  // kF32: sign and mantissa's high bits; low halves
    {4, 8, 64, 0},   // kF32HighHalf
    {2, 5, 64, 3},   // kF16: low byte; planes of sign and of bits 9 and 8
    {2, 5, 64, 0},   // kF16ShortMantissa: sign and bits 9 to 3
    {1, 4, 32, 0},   // kF8E4M3: sign and mantissa, two elements a byte
    {1, 5, 0, 3},    // kF8E5M2: planes of sign and mantissa
    {1, 6, 0, 2},    // kInteger1: planes of low bits and sign
    {1, 5, 0, 3},    // kInteger2
    {1, 4, 0, 4},    // kInteger3
    {1, 3, 0, 5},    // kInteger4
};

constexpr ArrangementLayout LayoutOf(Arrangement arrangement) {
  return kArrangementLayouts[static_cast<size_t>(arrangement)];
}

// Bits of an 8-bit integer's magnitude that are not part of its symbol.
constexpr unsigned IntegerLowBits(Arrangement arrangement) {
  return static_cast<unsigned>(arrangement) - static_cast<unsigned>(Arrangement::kInteger1) + 1;
}

}  // namespace warmset::codec

#include "codec/synthetic_weights.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>

namespace warmset::codec {
namespace {

uint32_t BitsOf(float value) { return std::bit_cast<uint32_t>(value); }

// Rounds to nearest, ties to even. REQUIRES: finite.
uint16_t ToBF16(float value) {
  const uint32_t bits = BitsOf(value);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Rounds to a small floating-point type without infinities in the range used.
// REQUIRES: |value| is at most the type's largest number.
uint32_t ToSmallFloat(float value, int exponent_bits, int mantissa_bits) {
  const uint32_t sign = std::signbit(value) ? 1U << (exponent_bits + mantissa_bits) : 0;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  int exponent = 0;
  std::frexp(value, &exponent);
  // The unit in the last place; subnormal numbers share that of exponent 1.
  const int unit = std::max(exponent - 1, 1 - bias) - mantissa_bits;
  auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(std::fabs(value), -unit)));
  if (exponent - 1 >= 1 - bias) {
    steps += static_cast<uint32_t>(exponent - 2 + bias) << mantissa_bits;
  }
  return sign | steps;
}

float LargestIn(const std::vector<float>& weights, size_t first, size_t stride, size_t count) {
  float largest = 0;
  for (size_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::fabs(weights[first + i * stride]));
  }
  return largest;
}

}  // namespace

std::vector<std::byte> MakeSyntheticWeights(const SyntheticWeights& options) {
  std::mt19937_64 random(options.seed);
  std::normal_distribution<float> normal;
  std::vector<float> weights(options.rows * options.columns);
  for (size_t row = 0; row < options.rows; ++row) {
    const float scale = 0.02F * std::exp(0.5F * normal(random));
    for (size_t i = 0; i < options.columns; ++i) {
      weights[row * options.columns + i] = scale * normal(random);
    }
  }
  const auto quantise_to = [&](float most, bool by_row) {
    const size_t lines = by_row ? options.rows : options.columns;
    const size_t length = by_row ? options.columns : options.rows;
    const size_t stride = by_row ? 1 : options.columns;
    for (size_t line = 0; line < lines; ++line) {
      const size_t first = by_row ? line * options.columns : line;
      const float largest = LargestIn(weights, first, stride, length);
      for (size_t i = 0; i < length; ++i) weights[first + i * stride] *= most / largest;
    }
  };
  if (options.dtype == DType::kF8E4M3) quantise_to(448, true);
  if (options.dtype == DType::kF8E5M2) quantise_to(57344, true);
  if (options.dtype == DType::kI8) quantise_to(127, false);

  const size_t element_bytes = DTypeBits(options.dtype) / 8;
  std::vector<std::byte> elements(weights.size() * element_bytes);
  for (size_t i = 0; i < weights.size(); ++i) {
    float weight = weights[i];
    if (options.cast_from == DType::kBF16) {
      weight = std::bit_cast<float>(uint32_t{ToBF16(weight)} << 16);
    }
    uint32_t element = BitsOf(weight);
    if (options.dtype == DType::kBF16) element = ToBF16(weight);
    if (options.dtype == DType::kF16) element = ToSmallFloat(weight, 5, 10);
    if (options.dtype == DType::kF8E4M3) element = ToSmallFloat(weight, 4, 3);
    if (options.dtype == DType::kF8E5M2) element = ToSmallFloat(weight, 5, 2);
    if (options.dtype == DType::kI8) element = static_cast<uint32_t>(std::lrint(weight));
    std::memcpy(elements.data() + i * element_bytes, &element, element_bytes);
  }
  return elements;
}

}  // namespace warmset::codec

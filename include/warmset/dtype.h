// Element types of tensors, by the names that safetensors, and for quantised
// blocks ggml, give them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace warmset {

// The numbers are part of the tensor index format: append, never renumber.
// Names and sizes up to kF4: the safetensors reference, `safetensors/src/tensor.rs`;
// of the quantised blocks: ggml's `ggml-common.h` and gguf-py's `constants.py`.
enum class DType : uint16_t {
  kInvalid = 0,
  kBool = 1,
  kU8 = 2,
  kI8 = 3,
  kU16 = 4,
  kI16 = 5,
  kF16 = 6,
  kBF16 = 7,
  kU32 = 8,
  kI32 = 9,
  kF32 = 10,
  kU64 = 11,
  kI64 = 12,
  kF64 = 13,
  kC64 = 14,
  kF8E4M3 = 15,
  kF8E5M2 = 16,
  kF8E8M0 = 17,
  kF8E4M3FNUZ = 18,
  kF8E5M2FNUZ = 19,
  kF6E2M3 = 20,
  kF6E3M2 = 21,
  kF4 = 22,
  kC128 = 23,
  kU4 = 24,
  kI4 = 25,
  kU2 = 26,
  kI2 = 27,
  kQ4_0 = 28,
  kQ4_1 = 29,
  kQ5_0 = 30,
  kQ5_1 = 31,
  kQ8_0 = 32,
  kQ8_1 = 33,
  kQ2_K = 34,
  kQ3_K = 35,
  kQ4_K = 36,
  kQ5_K = 37,
  kQ6_K = 38,
  kQ8_K = 39,
  kIQ2_XXS = 40,
  kIQ2_XS = 41,
  kIQ3_XXS = 42,
  kIQ1_S = 43,
  kIQ4_NL = 44,
  kIQ3_S = 45,
  kIQ2_S = 46,
  kIQ4_XS = 47,
  kIQ1_M = 48,
  kTQ1_0 = 49,
  kTQ2_0 = 50,
  kMXFP4 = 51,
  kNVFP4 = 52,
  kQ1_0 = 53,
  kQ2_0 = 54,
};

// The last one that a safetensors file may use.
inline constexpr DType kLastSafetensorsDType = DType::kF4;
// Quantised blocks from here on: whole blocks are stored, elements have no place
// of their own.
inline constexpr DType kFirstQuantizedDType = DType::kQ4_0;

namespace internal {

// The least that can be stored: a block of elements in whole bytes.
struct DTypeRow {
  std::string_view name;
  uint32_t block_elements;
  uint32_t block_bytes;
};

// By number.
inline constexpr std::array<DTypeRow, 55> kDTypeRows = {{
    {"?", 1, 0}, {"BOOL", 1, 1}, {"U8", 1, 1}, {"I8", 1, 1}, {"U16", 1, 2},
    {"I16", 1, 2}, {"F16", 1, 2}, {"BF16", 1, 2}, {"U32", 1, 4}, {"I32", 1, 4},
    {"F32", 1, 4}, {"U64", 1, 8}, {"I64", 1, 8}, {"F64", 1, 8}, {"C64", 1, 8},
    {"F8_E4M3", 1, 1}, {"F8_E5M2", 1, 1}, {"F8_E8M0", 1, 1}, {"F8_E4M3FNUZ", 1, 1}, {"F8_E5M2FNUZ", 1, 1},
    {"F6_E2M3", 4, 3}, {"F6_E3M2", 4, 3}, {"F4", 2, 1}, {"C128", 1, 16}, {"U4", 2, 1},
    {"I4", 2, 1}, {"U2", 4, 1}, {"I2", 4, 1}, {"Q4_0", 32, 18}, {"Q4_1", 32, 20},
    {"Q5_0", 32, 22}, {"Q5_1", 32, 24}, {"Q8_0", 32, 34}, {"Q8_1", 32, 36}, {"Q2_K", 256, 84},
    {"Q3_K", 256, 110}, {"Q4_K", 256, 144}, {"Q5_K", 256, 176}, {"Q6_K", 256, 210}, {"Q8_K", 256, 292},
    {"IQ2_XXS", 256, 66}, {"IQ2_XS", 256, 74}, {"IQ3_XXS", 256, 98}, {"IQ1_S", 256, 50}, {"IQ4_NL", 32, 18},
    {"IQ3_S", 256, 110}, {"IQ2_S", 256, 82}, {"IQ4_XS", 256, 136}, {"IQ1_M", 256, 56}, {"TQ1_0", 256, 54},
    {"TQ2_0", 256, 66}, {"MXFP4", 32, 17}, {"NVFP4", 64, 36}, {"Q1_0", 128, 18}, {"Q2_0", 64, 18},
}};

constexpr const DTypeRow& DTypeRowOf(DType dtype) {
  const auto number = static_cast<size_t>(dtype);
  return kDTypeRows[number < kDTypeRows.size() ? number : 0];
}

}  // namespace internal

// "BF16" and so on; "?" for a value outside the enum.
constexpr std::string_view DTypeName(DType dtype) { return internal::DTypeRowOf(dtype).name; }

constexpr bool IsQuantized(DType dtype) {
  return dtype >= kFirstQuantizedDType && internal::DTypeRowOf(dtype).block_bytes != 0;
}

// Bits of one element: 2, 4, 6, 8, 16, 32, 64 or 128; 0 for quantised blocks, for
// kInvalid and values outside the enum.
constexpr uint32_t DTypeBits(DType dtype) {
  const auto& row = internal::DTypeRowOf(dtype);
  return IsQuantized(dtype) ? 0 : row.block_bytes * 8 / row.block_elements;
}

// Bytes that so many elements take; nothing when they are no whole number of
// blocks, when it would not fit, or for kInvalid and values outside the enum.
constexpr std::optional<uint64_t> DTypeBytes(DType dtype, uint64_t elements) {
  const auto& row = internal::DTypeRowOf(dtype);
  uint64_t bytes = 0;
  if (row.block_bytes == 0 || elements % row.block_elements != 0 ||
      __builtin_mul_overflow(elements / row.block_elements, uint64_t{row.block_bytes}, &bytes)) {
    return std::nullopt;
  }
  return bytes;
}

// Elements of a tensor of that shape: 0 as soon as one dimension is, whatever the
// others are; nothing when they would not fit.
constexpr std::optional<uint64_t> ElementsOf(std::span<const uint64_t> shape) {
  std::optional<uint64_t> elements = 1;
  for (const uint64_t dim : shape) {
    if (dim == 0) return 0;
    uint64_t product = 0;
    if (!elements || __builtin_mul_overflow(*elements, dim, &product)) {
      elements = std::nullopt;
    } else {
      elements = product;
    }
  }
  return elements;
}

// Nothing for a name that is not in the table above.
constexpr std::optional<DType> DTypeFromName(std::string_view name) {
  for (size_t number = 1; number < internal::kDTypeRows.size(); ++number) {
    if (internal::kDTypeRows[number].name == name) return static_cast<DType>(number);
  }
  return std::nullopt;
}

}  // namespace warmset

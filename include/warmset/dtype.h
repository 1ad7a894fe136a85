// Element types of tensors, by the names that safetensors gives them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace warmset {

// The numbers are part of the tensor index format: append, never renumber.
// Names and sizes: the safetensors reference, `safetensors/src/tensor.rs`.
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
};

namespace internal {

struct DTypeRow {
  std::string_view name;
  uint32_t bits;
};

// By number.
inline constexpr std::array<DTypeRow, 23> kDTypeRows = {{
    {"?", 0},       {"BOOL", 8},    {"U8", 8},      {"I8", 8},          {"U16", 16},
    {"I16", 16},    {"F16", 16},    {"BF16", 16},   {"U32", 32},        {"I32", 32},
    {"F32", 32},    {"U64", 64},    {"I64", 64},    {"F64", 64},        {"C64", 64},
    {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
}};

constexpr const DTypeRow& DTypeRowOf(DType dtype) {
  const auto number = static_cast<size_t>(dtype);
  return kDTypeRows[number < kDTypeRows.size() ? number : 0];
}

}  // namespace internal

// "BF16" and so on; "?" for a value outside the enum.
constexpr std::string_view DTypeName(DType dtype) { return internal::DTypeRowOf(dtype).name; }

// Bits of one element: 4, 6, 8, 16, 32 or 64; 0 for kInvalid and values outside the enum.
constexpr uint32_t DTypeBits(DType dtype) { return internal::DTypeRowOf(dtype).bits; }

// Nothing for a name that safetensors does not define.
constexpr std::optional<DType> DTypeFromName(std::string_view name) {
  for (size_t number = 1; number < internal::kDTypeRows.size(); ++number) {
    if (internal::kDTypeRows[number].name == name) return static_cast<DType>(number);
  }
  return std::nullopt;
}

}  // namespace warmset

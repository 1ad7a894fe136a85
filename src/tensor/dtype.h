// Element types of tensors, by the names that safetensors gives them.
#pragma once

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

// "BF16" and so on; "?" for a value outside the enum.
std::string_view DTypeName(DType dtype);
// Nothing for a name that safetensors does not define.
std::optional<DType> DTypeFromName(std::string_view name);
// Bits of one element: 4, 6, 8, 16, 32 or 64; 0 for kInvalid.
uint32_t DTypeBits(DType dtype);

}  // namespace warmset

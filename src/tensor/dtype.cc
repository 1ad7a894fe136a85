#include "tensor/dtype.h"

#include <array>

namespace warmset {
namespace {

struct Row {
  std::string_view name;
  uint32_t bits;
};

constexpr std::array<Row, 23> kRows = {{
    {"?", 0},       {"BOOL", 8},        {"U8", 8},          {"I8", 8},      {"U16", 16},
    {"I16", 16},    {"F16", 16},        {"BF16", 16},       {"U32", 32},    {"I32", 32},
    {"F32", 32},    {"U64", 64},        {"I64", 64},        {"F64", 64},    {"C64", 64},
    {"F8_E4M3", 8}, {"F8_E5M2", 8},     {"F8_E8M0", 8},     {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"F4", 4},
}};

const Row& RowOf(DType dtype) {
  const auto index = static_cast<size_t>(dtype);
  return kRows[index < kRows.size() ? index : 0];
}

}  // namespace

std::string_view DTypeName(DType dtype) { return RowOf(dtype).name; }

std::optional<DType> DTypeFromName(std::string_view name) {
  for (size_t i = 1; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

uint32_t DTypeBits(DType dtype) { return RowOf(dtype).bits; }

}  // namespace warmset

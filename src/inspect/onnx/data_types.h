// ONNX's element types (TensorProto.DataType) and where a TensorProto keeps their
// values. Numbers, fields and packing: the comments in onnx.proto, onnx 1.23.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tensor/dtype.h"

namespace warmset::onnx {

// The fields of a TensorProto that can hold values, as bits.
enum ValueField : uint8_t {
  kNoValues = 0,
  kFloatData = 1 << 0,
  kInt32Data = 1 << 1,
  kStringData = 1 << 2,
  kInt64Data = 1 << 3,
  kRawData = 1 << 4,
  kDoubleData = 1 << 5,
  kUint64Data = 1 << 6,
};

struct DataType {
  std::string_view name;
  DType dtype;       // kInvalid for text
  ValueField field;  // for values that are not in raw_data
  // Entries of that field: so many of them hold so many elements.
  uint8_t entries;
  uint8_t elements;
};

inline constexpr int32_t kString = 8;
inline constexpr int32_t kInt64 = 7;

// By number; 0 is UNDEFINED.
inline constexpr std::array<DataType, 29> kDataTypes = {{
    {"UNDEFINED", DType::kInvalid, kNoValues, 0, 1},
    {"FLOAT", DType::kF32, kFloatData, 1, 1},
    {"UINT8", DType::kU8, kInt32Data, 1, 1},
    {"INT8", DType::kI8, kInt32Data, 1, 1},
    {"UINT16", DType::kU16, kInt32Data, 1, 1},
    {"INT16", DType::kI16, kInt32Data, 1, 1},
    {"INT32", DType::kI32, kInt32Data, 1, 1},
    {"INT64", DType::kI64, kInt64Data, 1, 1},
    {"STRING", DType::kInvalid, kStringData, 1, 1},
    {"BOOL", DType::kBool, kInt32Data, 1, 1},
    {"FLOAT16", DType::kF16, kInt32Data, 1, 1},
    {"DOUBLE", DType::kF64, kDoubleData, 1, 1},
    {"UINT32", DType::kU32, kUint64Data, 1, 1},
    {"UINT64", DType::kU64, kUint64Data, 1, 1},
    {"COMPLEX64", DType::kC64, kFloatData, 2, 1},
    {"COMPLEX128", DType::kC128, kDoubleData, 2, 1},
    {"BFLOAT16", DType::kBF16, kInt32Data, 1, 1},
    {"FLOAT8E4M3FN", DType::kF8E4M3, kInt32Data, 1, 1},
    {"FLOAT8E4M3FNUZ", DType::kF8E4M3FNUZ, kInt32Data, 1, 1},
    {"FLOAT8E5M2", DType::kF8E5M2, kInt32Data, 1, 1},
    {"FLOAT8E5M2FNUZ", DType::kF8E5M2FNUZ, kInt32Data, 1, 1},
    {"UINT4", DType::kU4, kInt32Data, 1, 8},
    {"INT4", DType::kI4, kInt32Data, 1, 8},
    {"FLOAT4E2M1", DType::kF4, kInt32Data, 1, 8},
    {"FLOAT8E8M0", DType::kF8E8M0, kInt32Data, 1, 1},
    {"UINT2", DType::kU2, kInt32Data, 1, 16},
    {"INT2", DType::kI2, kInt32Data, 1, 16},
    {"FLOAT6E2M3", DType::kF6E2M3, kInt32Data, 1, 1},
    {"FLOAT6E3M2", DType::kF6E3M2, kInt32Data, 1, 1},
}};

}  // namespace warmset::onnx

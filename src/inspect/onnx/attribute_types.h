// Which fields of an AttributeProto hold which type of value: the numbers of
// AttributeProto.AttributeType in onnx.proto.
#pragma once

#include <cstdint>

#include "inspect/onnx/wire.h"

namespace warmset::onnx {

inline constexpr uint32_t kLastAttributeType = 14;

// The AttributeType that a field of an AttributeProto holds a value for; 0: none.
inline uint32_t AttributeTypeOf(const WireField& field) {
  const bool is_bytes = field.type == WireType::kBytes;
  const bool is_filled = is_bytes && field.content.size() != 0;  // a packed list
  switch (field.number) {
    case 2:  // f
      return field.type == WireType::kFixed32 ? 1 : 0;
    case 3:  // i
      return field.type == WireType::kVarint ? 2 : 0;
    case 4:  // s
      return is_bytes ? 3 : 0;
    case 5:  // t
      return is_bytes ? 4 : 0;
    case 6:  // g
      return is_bytes ? 5 : 0;
    case 7:  // floats
      return is_filled || field.type == WireType::kFixed32 ? 6 : 0;
    case 8:  // ints
      return is_filled || field.type == WireType::kVarint ? 7 : 0;
    case 9:  // strings
      return is_bytes ? 8 : 0;
    case 10:  // tensors
      return is_bytes ? 9 : 0;
    case 11:  // graphs
      return is_bytes ? 10 : 0;
    case 22:  // sparse_tensor
      return is_bytes ? 11 : 0;
    case 23:  // sparse_tensors
      return is_bytes ? 12 : 0;
    case 14:  // tp
      return is_bytes ? 13 : 0;
    case 15:  // type_protos
      return is_bytes ? 14 : 0;
    default:
      return 0;
  }
}

// One value that is a message. Given twice, protobuf would join the two.
inline bool IsSingleMessage(uint32_t attribute_type) {
  return attribute_type == 4 || attribute_type == 5 || attribute_type == 11 || attribute_type == 13;
}

}  // namespace warmset::onnx

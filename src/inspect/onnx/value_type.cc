#include "inspect/onnx/value_type.h"

#include "fmt/format.h"
#include "inspect/onnx/read_state.h"

namespace warmset::onnx {
namespace {

// Whether it can be parsed; what the dims are does not matter here.
Status CheckShape(WireSource& source, WireSpan span) {
  WireMessage dims(source, span);
  while (dims.Next()) {
    if (!dims.field().Is(1, WireType::kBytes)) continue;
    WireMessage dim(source, dims.field().content);
    while (dim.Next()) continue;
    RETURN_IF_ERROR(dim.status());
  }
  return dims.status();
}

}  // namespace

Status ReadValueType(WireSource& source, WireSpan span, int nesting, ValueType& type) {
  if (nesting > kMaxNesting) {
    return AtOffset(Error(ErrorCode::kCorruptedModel,
                          fmt::format("a type is nested deeper than {} messages", kMaxNesting)),
                    span.begin);
  }
  WireMessage fields(source, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    const bool is_tensor = field.number == 1 || field.number == 8;
    const bool is_known = is_tensor || field.number == 4 || field.number == 5 ||
                          field.number == 7 || field.number == 9;
    if (!is_known || field.type != WireType::kBytes) continue;
    type = {.kind = field.number, .has_shape = !is_tensor};
    const bool is_map = field.number == 5;
    bool has_key = !is_map;
    WireMessage parts(source, field.content);
    while (parts.Next()) {
      const WireField& part = parts.field();
      if (field.number == 7) {  // opaque: a name
        type.has_element = type.has_element || part.Is(2, WireType::kBytes);
      } else if (is_tensor) {
        type.has_element = type.has_element || part.Is(1, WireType::kVarint);
        if (!part.Is(2, WireType::kBytes)) continue;
        type.has_shape = true;
        RETURN_IF_ERROR(CheckShape(source, part.content));
      } else if (is_map && part.Is(1, WireType::kVarint)) {
        has_key = true;
      } else if (part.Is(is_map ? 2 : 1, WireType::kBytes)) {
        type.has_element = true;
        ValueType element;
        RETURN_IF_ERROR(ReadValueType(source, part.content, nesting + 2, element));
      }
    }
    RETURN_IF_ERROR(parts.status());
    type.has_element = type.has_element && has_key;
  }
  return fields.status();
}

}  // namespace warmset::onnx

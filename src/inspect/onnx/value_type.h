// Reads TypeProto messages: what an input or output of a graph is.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "inspect/onnx/wire.h"

namespace warmset::onnx {

struct ValueType {
  uint32_t kind = 0;  // the number of the TypeProto's field that is set; 0: none
  bool has_element = false;
  bool has_shape = false;  // true also for what has none by its kind
};

// nesting: of the message in its ModelProto. kCorruptedModel when it is broken or
// nested too deep; kUnsupportedFormat when the file's limits are met.
Status ReadValueType(WireSource& source, WireSpan span, int nesting, ValueType& type);

}  // namespace warmset::onnx

// ggml's tensor types by the numbers that GGUF files use.
// Source: enum ggml_type in ggml's ggml.h, GGMLQuantizationType in gguf-py's constants.py.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "tensor/dtype.h"

namespace warmset {

// kUnsupportedFormat, with the name, for a type that ggml has removed, and for a
// number that a newer ggml may have given out; kCorruptedModel for any other.
StatusOr<DType> DTypeOfGgmlType(uint32_t type);

}  // namespace warmset

// Recognises ONNX, which has no magic number, by its first bytes.
#pragma once

#include "inspect/format_reader.h"

namespace warmset::onnx {

// True for what begins as a ModelProto: an ir_version first, then nothing but
// fields that a ModelProto has, and one that only it has so. A TensorProto, or
// a model of TensorFlow or Core ML, does not.
bool LooksLikeModel(const FileStart& start);

}  // namespace warmset::onnx

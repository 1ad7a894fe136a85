// ONNX: a protobuf message with a graph, its weights inside or in files beside it.
// Format: https://github.com/onnx/onnx/blob/main/docs/IR.md and onnx/onnx.proto.
#pragma once

#include <cstdint>
#include <string_view>

#include "inspect/format_reader.h"

namespace warmset {

// The newest that onnx 1.23 knows.
inline constexpr int64_t kMaxOnnxIrVersion = 14;
inline constexpr uint64_t kMaxOnnxBytes = 0x7fffffff;  // protobuf's limit on a message

// Lists the tensors of the graph, of its subgraphs and of model-local functions,
// wherever they hide; see onnx::GraphReader for their names. Operators are checked
// against the default runtime profile (runtime_profiles.h).
class OnnxReader final : public FormatReader {
 public:
  std::string_view format() const override { return "onnx"; }
  Match Recognise(const FileStart& start) const override;
  Status Read(ByteSource& file, OtherFiles& others, FileContents& contents) const override;
};

}  // namespace warmset

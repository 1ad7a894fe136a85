// safetensors: a JSON header that lists tensors, and their bytes behind it.
// Format: https://huggingface.co/docs/safetensors/index#format, and where it is
// silent the reference implementation (safetensors/src/tensor.rs).
#pragma once

#include <cstdint>
#include <string_view>

#include "inspect/format_reader.h"

namespace warmset {

// The reference's limit on the length of the JSON text.
inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

// A header that is accepted describes every byte of the file behind it exactly
// once; tensors are listed in that order.
class SafetensorsReader final : public FormatReader {
 public:
  std::string_view format() const override { return "safetensors"; }
  Match Recognise(const FileStart& start) const override;
  Status Read(ByteSource& file, OtherFiles& others, FileContents& contents) const override;
};

}  // namespace warmset

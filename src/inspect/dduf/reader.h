// DDUF: a diffusers pipeline in one zip archive, without compression.
// Format: https://huggingface.co/docs/hub/dduf, and where it is silent the reference
// implementation (huggingface_hub's serialization/_dduf.py).
#pragma once

#include <string_view>

#include "inspect/format_reader.h"

namespace warmset {

// Lists the tensors of the safetensors files in it as "<folder>/<name>". The classes
// of the pipeline and its components are in the metadata, as "_class_name" and by the
// name of the folder.
class DdufReader final : public FormatReader {
 public:
  std::string_view format() const override { return "dduf"; }
  Match Recognise(const FileStart& start) const override;
  Status Read(ByteSource& file, OtherFiles& others, FileContents& contents) const override;
};

}  // namespace warmset

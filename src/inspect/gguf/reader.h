// GGUF: metadata, a list of tensors, and their bytes behind it, as llama.cpp and
// other programs that use ggml load it.
// Format: ggml's docs/gguf.md, and where it is silent ggml's gguf.cpp.
#pragma once

#include <string_view>

#include "inspect/format_reader.h"

namespace warmset {

// Versions 2 and 3 in little-endian byte order. Tensors are listed in the order of
// the file, which is that of their bytes. One of a type that is not known here is
// left out: the others can be used without it.
class GgufReader final : public FormatReader {
 public:
  std::string_view format() const override { return "gguf"; }
  Match Recognise(const FileStart& start) const override;
  Status Read(ByteSource& file, OtherFiles& others, FileContents& contents) const override;
};

}  // namespace warmset

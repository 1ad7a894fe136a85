// PyTorch's files (.pt, .pth, .ckpt, .bin): zip archives around a pickle, the older
// row of pickles with raw data behind them, and, as unsupported, the oldest tar form.
// Format: torch/serialization.py and caffe2/serialize/inline_container.cc.
#pragma once

#include <string_view>

#include "inspect/format_reader.h"

namespace warmset {

// Runs no pickle: see pickle_interpreter.h. A file is unsafe when any pickle in it
// names what is not on the list of what models need, wherever it stands and whatever
// else is wrong with the file; its tensors are listed all the same where they could
// be read.
class PytorchReader final : public FormatReader {
 public:
  std::string_view format() const override { return "pytorch"; }
  Match Recognise(const FileStart& start) const override;
  Status Read(ByteSource& file, OtherFiles& others, FileContents& contents) const override;
};

}  // namespace warmset

// What every file format has in common: recognise a file, and list what is in it.
//
// One reader per format, one folder per reader. Readers are stateless; a reader
// reads headers only, never tensor data, and trusts nothing: every size is
// checked against what is left of the file before memory is taken for it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/byte_source.h"
#include "inspect/finding.h"
#include "tensor/tensor_table.h"

namespace warmset {

// An operator that a model's graph uses.
struct OperatorUse {
  std::string domain;  // "" stands for ai.onnx
  std::string name;
  uint64_t opset = 0;  // version of the domain's operator set that the model asks for
  uint64_t count = 0;

  friend auto operator<=>(const OperatorUse&, const OperatorUse&) = default;
};

// What a reader found in a file. A reader that fails leaves here what it had
// found before.
struct FileContents {
  std::string format_version;  // "3", as the format itself counts; may be empty
  // TensorView::file 0 is the file itself, 1 + i is other_files[i].
  TensorTable tensors;
  // Paths of further files that hold tensors, relative to the folder of the file.
  std::vector<std::string> other_files;
  // What the file says of itself: safetensors' __metadata__, GGUF's scalars and
  // strings (arrays by their length), ONNX's metadata_props and producer.
  std::map<std::string, std::string> metadata;
  std::vector<OperatorUse> operators;
  std::vector<Finding> findings;  // with an empty path: this file
  // Every tensor lies in the file whole, though the file breaks its format's rules.
  bool tensors_are_whole = false;
};

// What is looked at to recognise a format.
struct FileStart {
  std::string_view name;                // base name, for formats without a magic number
  std::span<const std::byte> bytes;     // the first kFileStartBytes, or all of the file
  uint64_t file_size = 0;
};
inline constexpr size_t kFileStartBytes = 4096;

// Gives sources of further files that a file names. Checks the name as it
// comes from the file: kUnsafeModel when it leads out of the model's folder,
// kIncompleteModel when there is no such file.
class OtherFiles {
 public:
  virtual ~OtherFiles() = default;
  // The source belongs to this object. path: relative to the folder of the file.
  virtual StatusOr<ByteSource*> Open(const std::string& path) = 0;
};

class FormatReader {
 public:
  virtual ~FormatReader() = default;

  // "safetensors", "gguf", "pytorch", "onnx", "dduf"; valid for the whole program.
  virtual std::string_view format() const = 0;

  // How sure it is from the file's start: by magic number, by name only, or not.
  enum class Match { kNo, kByName, kByContent };
  virtual Match Recognise(const FileStart& start) const = 0;

  // Lists the file. An error is what makes the file unusable, with AtOffset()
  // where it is known: kCorruptedModel, kUnsafeModel, kUnsupportedFormat,
  // kIncompleteModel, or kIoError. Whatever a user can live with is a finding.
  virtual Status Read(ByteSource& file, OtherFiles& others, FileContents& contents) const = 0;
};

// All readers; valid for the whole program.
std::span<const FormatReader* const> FormatReaders();

// The reader that recognises the file by its content, else by its name; nullptr
// when none does.
const FormatReader* RecogniseFormat(const FileStart& start);

}  // namespace warmset

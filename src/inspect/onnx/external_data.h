// Tensors whose bytes lie in files beside the model: TensorProto.external_data.
// Rules: onnx/docs/ExternalData.md, and what onnx.checker refuses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/status.h"
#include "inspect/format_reader.h"
#include "inspect/onnx/read_state.h"

namespace warmset::onnx {

// What a tensor says about its place; each value as text, as it is in the file.
struct ExternalEntries {
  std::optional<std::string> location;
  std::optional<std::string> offset;
  std::optional<std::string> length;
};

struct ExternalPlace {
  uint32_t file = 0;  // for TensorView::file
  uint64_t offset = 0;
  uint64_t bytes = 0;  // that the entries give to the tensor
};

// The location without "." parts and doubled slashes. kUnsafeModel when a loader
// would leave the model's folder for it, on any system, or its own memory's
// bounds; kCorruptedModel when it names nothing.
StatusOr<std::string> CheckLocation(std::string_view location);

// Finds the places, opening each file once. Not thread-safe; what it is made of
// must outlive it.
class ExternalData {
 public:
  ExternalData(OtherFiles& others, FileContents& contents) : others_(others), contents_(contents) {}

  // Fails as CheckLocation() and OtherFiles::Open() do; kCorruptedModel when the
  // numbers are none, or lie outside of the file.
  StatusOr<ExternalPlace> Find(const ExternalEntries& entries);

 private:
  struct Opened {
    Status status;
    uint32_t file = 0;
    uint64_t size = 0;
  };
  StatusOr<Opened> Open(const std::string& path);

  OtherFiles& others_;
  FileContents& contents_;
  std::unordered_map<std::string, Opened> opened_;  // by path, failures too
};

}  // namespace warmset::onnx

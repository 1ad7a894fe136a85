// What `warmset inspect` says about one model, as JSON and as text.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "inspect/manifest.h"
#include "table.h"

namespace warmset::cli {

// One line of the output.
struct InspectedModel {
  std::string path;  // as it is shown
  Manifest manifest;
  std::string device;  // that the findings are about, too; may be empty
};

// One tensor of a model, where it lies in its files.
struct ListedTensor {
  std::string name;
  DType dtype = DType::kInvalid;
  std::vector<uint64_t> shape;
  std::vector<int64_t> strides;  // in elements; empty unless the bytes are not in row-major order
  std::string_view storage;      // "contiguous", "strided" or "encoded"
  std::string_view file;         // relative to the model's folder
  uint64_t offset = 0;           // in the file
  uint64_t bytes = 0;
  std::string_view component;  // empty: in none, it can't be handed out
};
// Every tensor of the manifest, which must outlive the call. kCorruptedModel when a
// tensor index is damaged.
Status ForEachTensor(const Manifest& manifest,
                     const std::function<void(const ListedTensor&)>& visit);

// Tensors of all components and those of none, and their bytes.
struct TensorTotals {
  uint64_t tensors = 0;
  uint64_t bytes = 0;
  std::map<std::string, uint64_t> dtype_bytes;
};
TensorTotals TotalsOf(const Manifest& manifest);

// One line, a JSON object (docs/inspect.md). Valid UTF-8 whatever names are in the
// model: bytes that are none become U+FFFD.
StatusOr<std::string> ReportJson(const InspectedModel& model, bool with_tensors);
// The line for a path that could not be looked at: {"path", "error": {"code", "message"}}.
std::string ErrorJson(const std::string& path, const Status& error);

// Prints a table with the findings below each model; then, if asked for, the
// tensors of each. The errors of ForEachTensor().
Status PrintText(const std::vector<InspectedModel>& models, bool with_tensors,
                 const Screen& screen);

}  // namespace warmset::cli

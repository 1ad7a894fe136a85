
#include "inspection/report.h"
#include "tensor/tensor_index.h"

namespace warmset::cli {
namespace {

// The run that holds the tensor; an empty tensor may lie at the end of one.
const FileRun* RunOf(const ComponentManifest& component, const TensorEntry& tensor) {
  for (const FileRun& run : component.runs) {
    if (tensor.offset < run.entry_offset) continue;
    const uint64_t within = tensor.offset - run.entry_offset;
    if (within <= run.bytes && tensor.bytes <= run.bytes - within) return &run;
  }
  return nullptr;
}

}  // namespace

Status ForEachTensor(const Manifest& manifest,
                     const std::function<void(const ListedTensor&)>& visit) {
  for (const ComponentManifest& component : manifest.components) {
    ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(AsBytes(component.tensor_index)));
    for (uint64_t i = 0; i < index.tensor_count(); ++i) {
      TensorEntry tensor = index.tensor(i);
      const FileRun* const run = RunOf(component, tensor);
      if (run == nullptr) {
        return Error(ErrorCode::kCorruptedModel, "tensor '" + tensor.name + "' lies in no file");
      }
      visit({.name = std::move(tensor.name),
             .dtype = tensor.dtype,
             .shape = std::move(tensor.shape),
             .strides = {},
             .storage = "contiguous",
             .file = manifest.files[run->file].path,
             .offset = run->file_offset + (tensor.offset - run->entry_offset),
             .bytes = tensor.bytes,
             .component = component.name});
    }
  }
  for (const UnplacedTensor& tensor : manifest.unplaced) {
    visit({.name = tensor.name,
           .dtype = tensor.dtype,
           .shape = tensor.shape,
           .strides = tensor.strides,
           .storage = tensor.strides.empty() ? "encoded" : "strided",
           .file = manifest.files[tensor.file].path,
           .offset = tensor.offset,
           .bytes = tensor.bytes,
           .component = {}});
  }
  return OkStatus();
}

TensorTotals TotalsOf(const Manifest& manifest) {
  TensorTotals totals;
  for (const ComponentManifest& component : manifest.components) {
    totals.tensors += component.tensor_count;
    totals.bytes += component.tensor_bytes;
    for (const auto& [dtype, bytes] : component.dtype_bytes) totals.dtype_bytes[dtype] += bytes;
  }
  for (const UnplacedTensor& tensor : manifest.unplaced) {
    ++totals.tensors;
    totals.bytes += tensor.bytes;
    totals.dtype_bytes[std::string(DTypeName(tensor.dtype))] += tensor.bytes;
  }
  return totals;
}

}  // namespace warmset::cli

#include <algorithm>

#include "inspect/components.h"
#include "inspect/inspect.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

// The run that a tensor at that entry offset lies in.
const FileRun* RunAt(const std::vector<FileRun>& runs, uint64_t entry_offset) {
  const auto after = std::upper_bound(
      runs.begin(), runs.end(), entry_offset,
      [](uint64_t offset, const FileRun& run) { return offset < run.entry_offset; });
  return after == runs.begin() ? nullptr : &*std::prev(after);
}

}  // namespace

StatusOr<ComponentManifest> WholeFileComponent(const Manifest& manifest, uint32_t file_index) {
  if (file_index >= manifest.files.size()) {
    return Error(ErrorCode::kInvalidRequest, "the manifest has no such file");
  }
  const ManifestFile& file = manifest.files[file_index];
  FilePart part{.files = {file_index}, .contents = {}};
  for (const ComponentManifest& component : manifest.components) {
    const bool has_file = std::any_of(component.runs.begin(), component.runs.end(),
                                      [&](const FileRun& run) { return run.file == file_index; });
    if (!has_file) continue;
    if (component.runs.size() == 1 && component.runs[0].bytes == file.identity.size) {
      return component;
    }
    ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(AsBytes(component.tensor_index)));
    part.contents.metadata = index.metadata();
    for (uint64_t i = 0; i < index.tensor_count(); ++i) {
      const TensorEntry tensor = index.tensor(i);
      const FileRun* run = RunAt(component.runs, tensor.offset);
      if (run == nullptr || run->file != file_index) continue;
      RETURN_IF_ERROR(part.contents.tensors.Add(
          {.name = tensor.name,
           .dtype = tensor.dtype,
           .shape = tensor.shape,
           .strides = {},
           .offset = run->file_offset + (tensor.offset - run->entry_offset),
           .bytes = tensor.bytes}));
    }
  }
  part.contents.tensors.SortByPlace();
  return MakeWholeComponent(file.path, "file", manifest.files, {&part, 1});
}

}  // namespace warmset

#include "inspect/components.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/byte_reader.h"
#include "base/strong.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

constexpr uint64_t kPage = 4096;
// Reading on costs less than another read, as long as the gap is small.
constexpr uint64_t kMergeGap = 64 * kKiB;

// Adds tensors to a component and finishes its index.
class TensorsOfComponent {
 public:
  explicit TensorsOfComponent(ComponentManifest& component) : component_(component) {}

  void Reserve(const TensorTable& table) {
    index_.Reserve(table.size(), table.dims(), table.name_bytes());
  }

  // entry_offset: of the tensor in the component's memory.
  void Add(const TensorView& tensor, uint64_t entry_offset) {
    index_.Add(tensor.name, tensor.dtype, tensor.shape, entry_offset, tensor.bytes);
    ++component_.tensor_count;
    component_.tensor_bytes += tensor.bytes;
    dtype_bytes_[tensor.dtype] += tensor.bytes;
  }

  void Finish(const std::vector<ManifestFile>& files,
              const std::map<std::string, std::string>& metadata) && {
    for (const auto& [dtype, bytes] : dtype_bytes_) {
      component_.dtype_bytes[std::string(DTypeName(dtype))] = bytes;
    }
    component_.tensor_index = std::move(index_).Finish(metadata, component_.entry_bytes);
    component_.id = DeriveComponentId(component_, files);
  }

 private:
  ComponentManifest& component_;
  TensorIndexBuilder index_;
  std::map<DType, uint64_t> dtype_bytes_;
};

bool IsPlaced(const TensorView& tensor) { return tensor.storage == TensorStorage::kContiguous; }

}  // namespace

// The files themselves, and never the hash that a name claims for one: a name can be
// wrong. ctime is left out, so that another link to a file, or a chmod, does not make
// another component of it.
ComponentId DeriveComponentId(const ComponentManifest& component,
                              const std::vector<ManifestFile>& files) {
  ByteWriter out;
  for (const FileRun& run : component.runs) {
    const ManifestFile& file = files[run.file];
    out.Write(file.identity.device);
    out.Write(file.identity.inode);
    out.Write(file.identity.mtime_ns);
    out.Write(file.identity.size);
    out.Write(run.file_offset);
    out.Write(run.bytes);
    out.Write(run.entry_offset);
  }
  out.WriteBytes(Xxh3(AsBytes(component.tensor_index)));
  return DigestOf<ComponentId>(AsBytes(out.data()));
}

ComponentManifest MakeWholeComponent(std::string name, std::string type,
                                     const std::vector<ManifestFile>& files,
                                     std::span<const FilePart> parts) {
  ComponentManifest component;
  component.name = std::move(name);
  component.type = std::move(type);
  TensorsOfComponent tensors(component);
  std::map<std::string, std::string> metadata;
  for (const FilePart& part : parts) {
    std::vector<uint64_t> starts;  // of the part's files in the entry
    for (const uint32_t file : part.files) {
      const uint64_t size = files[file].identity.size;
      starts.push_back(AlignUp(component.entry_bytes, kPage));
      if (size == 0) continue;
      component.runs.push_back({file, 0, size, starts.back()});
      component.entry_bytes = starts.back() + size;
    }
    const TensorTable& table = part.contents.tensors;
    tensors.Reserve(table);
    for (size_t i = 0; i < table.size(); ++i) {
      const TensorView tensor = table[i];
      if (IsPlaced(tensor)) tensors.Add(tensor, starts[tensor.file] + tensor.offset);
    }
    if (parts.size() > 1) {
      metadata.insert(part.contents.metadata.begin(), part.contents.metadata.end());
    }
  }
  // That of one file may be large, and needs no copy.
  std::move(tensors).Finish(files, parts.size() == 1 ? parts[0].contents.metadata : metadata);
  return component;
}

ComponentManifest MakePartComponent(const TensorGroup& group,
                                    const std::vector<ManifestFile>& files,
                                    const FilePart& part) {
  ComponentManifest component;
  component.name = group.name;
  component.type = group.type;
  const TensorTable& table = part.contents.tensors;
  const uint32_t file = part.files.front();
  const uint64_t file_size = files[file].identity.size;
  // By place; readers of other formats list them in other orders.
  std::vector<uint32_t> members = group.tensors;
  std::erase_if(members, [&](uint32_t i) { return !IsPlaced(table[i]); });
  std::stable_sort(members.begin(), members.end(),
                   [&](uint32_t a, uint32_t b) { return table[a].offset < table[b].offset; });

  // First the runs, with the end of each as it grows; then the tensors in them.
  for (const uint32_t i : members) {
    const TensorView tensor = table[i];
    if (tensor.bytes == 0) continue;
    const uint64_t begin = AlignDown(tensor.offset, kPage);
    const uint64_t end = std::min(AlignUp(tensor.offset + tensor.bytes, kPage), file_size);
    if (!component.runs.empty()) {
      FileRun& last = component.runs.back();
      const uint64_t last_end = last.file_offset + last.bytes;
      if (begin <= last_end + kMergeGap) {
        last.bytes = std::max(last_end, end) - last.file_offset;
        continue;
      }
    }
    component.runs.push_back({file, begin, end - begin, 0});
  }
  for (FileRun& run : component.runs) {
    run.entry_offset = AlignUp(component.entry_bytes, kPage);
    component.entry_bytes = run.entry_offset + run.bytes;
  }

  TensorsOfComponent tensors(component);
  size_t at = 0;
  for (const uint32_t i : members) {
    const TensorView tensor = table[i];
    uint64_t entry_offset = 0;
    if (tensor.bytes != 0) {
      while (tensor.offset >= component.runs[at].file_offset + component.runs[at].bytes) ++at;
      const FileRun& run = component.runs[at];
      entry_offset = run.entry_offset + (tensor.offset - run.file_offset);
    }
    tensors.Add(tensor, entry_offset);
  }
  std::move(tensors).Finish(files, part.contents.metadata);
  return component;
}

std::vector<UnplacedTensor> UnplacedTensors(const FilePart& part) {
  std::vector<UnplacedTensor> unplaced;
  const TensorTable& table = part.contents.tensors;
  for (size_t i = 0; i < table.size(); ++i) {
    const TensorView tensor = table[i];
    if (IsPlaced(tensor)) continue;
    unplaced.push_back({.name = std::string(tensor.name),
                        .dtype = tensor.dtype,
                        .shape = {tensor.shape.begin(), tensor.shape.end()},
                        .strides = {tensor.strides.begin(), tensor.strides.end()},
                        .file = part.files[tensor.file],
                        .offset = tensor.offset,
                        .bytes = tensor.bytes});
  }
  return unplaced;
}

}  // namespace warmset

#include "worker/loader.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/digest.h"
#include "device/layout.h"
#include "fmt/format.h"
#include "os/file.h"
#include "os/mapping.h"
#include "os/memory_file.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

constexpr uint64_t kSliceBytes = 16 * kMiB;

// An entry that may be read without fear.
struct MappedEntry {
  os::Mapping index_bytes;
  TensorIndex index;  // of index_bytes
  os::Mapping data;
};

StatusOr<MappedEntry> MapEntry(const EntryFiles& entry) {
  MappedEntry mapped;
  ASSIGN_OR_RETURN(const uint64_t index_bytes, os::SealedSize(entry.index.get()));
  ASSIGN_OR_RETURN(const uint64_t data_bytes, os::SealedSize(entry.data.get()));
  if (data_bytes != entry.bytes.value()) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("an entry of {} bytes came with {}", entry.bytes.value(), data_bytes));
  }
  constexpr auto kReadOnly = os::Mapping::Kind::kSharedReadOnly;
  ASSIGN_OR_RETURN(mapped.index_bytes,
                   os::Mapping::Create(entry.index.get(), index_bytes, kReadOnly));
  ASSIGN_OR_RETURN(mapped.index, TensorIndex::Parse(mapped.index_bytes.span()));
  if (mapped.index.data_bytes() > data_bytes) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("a tensor index of {} bytes of memory came with {}",
                             mapped.index.data_bytes(), data_bytes));
  }
  ASSIGN_OR_RETURN(mapped.data, os::Mapping::Create(entry.data.get(), data_bytes, kReadOnly));
  return mapped;
}

Status CopyTensors(DeviceMemory& memory, std::span<const std::byte> entry,
                   const DeviceLayout& layout, const std::function<bool()>& cancelled,
                   const std::function<void(ByteCount, ByteCount)>& progress) {
  for (const LayoutCopy& copy : layout.copies) {
    for (uint64_t done = 0; done < copy.bytes;) {
      if (cancelled()) return Error(ErrorCode::kCancelled, "released while it was loading");
      const uint64_t count = std::min(kSliceBytes, copy.bytes - done);
      RETURN_IF_ERROR(memory.Write(copy.to + done, entry.subspan(copy.from + done, count)));
      done += count;
      progress(ByteCount(copy.to + done), ByteCount(layout.bytes));
    }
  }
  return OkStatus();
}

Status Load(MeasuredArena& arena, const EntryFiles& entry, const std::function<bool()>& cancelled,
            const std::function<void(ByteCount, ByteCount)>& progress, LoadResult& result) {
  ASSIGN_OR_RETURN(const MappedEntry mapped, MapEntry(entry));
  ASSIGN_OR_RETURN(const DeviceLayout layout, ComputeLayout(mapped.index));
  ASSIGN_OR_RETURN(const os::MemoryFile index,
                   os::MakeSealedFile("warmset-index", AsBytes(layout.index)));
  ASSIGN_OR_RETURN(result.index, os::Duplicate(index.fd()));
  ASSIGN_OR_RETURN(result.memory, arena.Allocate(ByteCount(layout.bytes)));
  RETURN_IF_ERROR(CopyTensors(*result.memory, mapped.data.span(), layout, cancelled, progress));
  return result.memory->Publish();
}

}  // namespace

StatusOr<std::unique_ptr<DeviceMemory>> MeasuredArena::Allocate(ByteCount bytes) {
  absl::MutexLock lock(&changing_);
  return device_.Allocate(bytes);
}

ByteCount MeasuredArena::Free(std::unique_ptr<DeviceMemory> memory) {
  absl::MutexLock lock(&changing_);
  const auto before = device_.memory();
  memory.reset();
  const auto after = device_.memory();
  if (!before.ok() || !after.ok() || after->used > before->used) return ByteCount();
  return before->used - after->used;
}

Status CheckEntry(const EntryFiles& entry) { return MapEntry(entry).status(); }

LoadResult LoadOntoDevice(MeasuredArena& arena, const EntryFiles& entry,
                          const std::function<bool()>& cancelled,
                          const std::function<void(ByteCount, ByteCount)>& progress) {
  LoadResult result;
  result.status = Load(arena, entry, cancelled, progress, result);
  if (!result.status.ok() && result.memory != nullptr) {
    result.freed = arena.Free(std::move(result.memory));
  }
  return result;
}

}  // namespace warmset

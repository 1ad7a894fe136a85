#include "worker/loader.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/digest.h"
#include "device/layout.h"
#include "fmt/format.h"
#include "os/file.h"
#include "os/memory_file.h"

namespace warmset {
namespace {

constexpr uint64_t kSliceBytes = 16 * kMiB;

Status CopyTensors(DeviceMemory& memory, StagedEntry& entry, const DeviceLayout& layout,
                   const std::function<bool()>& cancelled,
                   const std::function<void(ByteCount, ByteCount)>& progress) {
  for (const LayoutCopy& copy : layout.copies) {
    for (uint64_t done = 0; done < copy.bytes;) {
      if (cancelled()) return Error(ErrorCode::kCancelled, "released while it was loading");
      ASSIGN_OR_RETURN(const std::span<const std::byte> slice,
                       entry.Read(copy.from + done, std::min(kSliceBytes, copy.bytes - done)));
      RETURN_IF_ERROR(memory.Write(copy.to + done, slice));
      done += slice.size();
      progress(ByteCount(copy.to + done), ByteCount(layout.bytes));
    }
  }
  return OkStatus();
}

Status Load(MeasuredArena& arena, const EntryFiles& files, const std::function<bool()>& cancelled,
            const std::function<void(ByteCount, ByteCount)>& progress, LoadResult& result) {
  ASSIGN_OR_RETURN(StagedEntry entry, StagedEntry::Open(files));
  ASSIGN_OR_RETURN(const DeviceLayout layout, ComputeLayout(entry.index()));
  ASSIGN_OR_RETURN(const os::MemoryFile index,
                   os::MakeSealedFile("warmset-index", AsBytes(layout.index)));
  ASSIGN_OR_RETURN(result.index, os::Duplicate(index.fd()));
  ASSIGN_OR_RETURN(result.memory, arena.Allocate(ByteCount(layout.bytes)));
  RETURN_IF_ERROR(CopyTensors(*result.memory, entry, layout, cancelled, progress));
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

Status CheckEntry(const EntryFiles& entry) { return StagedEntry::Open(entry).status(); }

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

// Bringing a component onto a device: what runs on the copying thread.
#pragma once

#include <functional>
#include <memory>

#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "base/strong.h"
#include "device/device.h"
#include "os/unique_fd.h"
#include "worker/staged_entry.h"

namespace warmset {

// A device's memory, with one change at a time, so that what a free gives back
// can be measured. Thread-safe.
class MeasuredArena {
 public:
  explicit MeasuredArena(Device& device) : device_(device) {}

  StatusOr<std::unique_ptr<DeviceMemory>> Allocate(ByteCount bytes);
  // The bytes that the device reports less in use than before.
  ByteCount Free(std::unique_ptr<DeviceMemory> memory);

 private:
  Device& device_;
  absl::Mutex changing_;
};

// The error of opening the files, see StagedEntry::Open(). Reads the index.
Status CheckEntry(const EntryFiles& entry);

struct LoadResult {
  Status status;
  std::unique_ptr<DeviceMemory> memory;  // published; null unless OK
  os::UniqueFd index;                    // sealed, of that memory
  ByteCount freed;                       // by a load that failed
};

// Checks the entry, lays its tensors out, and copies them; what is compressed is decoded
// on the way (kCorruptedModel when its memory is damaged). `cancelled` is asked
// and `progress` told (bytes of the device memory so far, and all) after each
// slice of a few milliseconds. After a failure nothing is left on the device.
LoadResult LoadOntoDevice(MeasuredArena& arena, const EntryFiles& entry,
                          const std::function<bool()>& cancelled,
                          const std::function<void(ByteCount loaded, ByteCount total)>& progress);

}  // namespace warmset

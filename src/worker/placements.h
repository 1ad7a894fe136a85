// What is on the worker's device.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "base/thread_pool.h"
#include "device/device.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"
#include "sync/messages.h"
#include "wire/worker_messages.h"
#include "worker/loader.h"

namespace warmset {

// Fills, exports and frees placements. Copies and frees can take seconds, so
// they run on threads of their own; all functions must be called on the loop,
// and all callbacks run there, each once.
class Placements {
 public:
  // Told after each change of a record; null when it is gone.
  using OnChange = std::function<void(const std::string& key, const wire::PlacementRecord*)>;
  using OnReleased = std::function<void(ByteCount freed)>;

  Placements(os::EventLoop& loop, Device& device, OnChange on_change);

  // Loads a component from its tensor index and its entry's files, whatever these
  // descriptors turn out to be: kInvalidRequest unless all are sealed and agree (and for
  // compressed ones in the shared pool), kCorruptedModel when what is compressed is
  // damaged, kInsufficientDeviceMemory, kCancelled by Release(), kInUse when the key is
  // taken. After a failure nothing of it is left.
  void Place(const sync::PlaceAction& action, EntryFiles entry, std::function<void(Status)> done);

  // Frees a placement, or ends its loading, and then says how many bytes the
  // device has more. kNotLoaded: `done` is not called.
  Status Release(const std::string& key, OnReleased done);

  struct Exported {
    os::UniqueFd index;
    std::vector<os::UniqueFd> chunks;
    std::vector<uint64_t> chunk_bytes;
  };
  // kNotLoaded unless the placement is ready.
  StatusOr<Exported> Export(const std::string& key) const;

  // Of the placements that use the entries' own pages.
  uint64_t shared_bytes() const;

 private:
  struct Placement {
    wire::PlacementRecord record;
    // While it is loading: tells the copying thread to stop.
    std::shared_ptr<std::atomic<bool>> cancelled;
    bool releasing = false;
    std::vector<OnReleased> on_released;

    os::UniqueFd index;                    // once it is ready
    os::UniqueFd data;                     // ready, pool `shared`: the entry's
    std::unique_ptr<DeviceMemory> memory;  // ready, pool `dedicated`
  };

  Status PlaceShared(const std::string& key, EntryFiles entry, wire::PlacementRecord record);
  void PlaceDedicated(const std::string& key, EntryFiles entry, wire::PlacementRecord record,
                      std::function<void(Status)> done);
  void OnLoaded(const std::string& key, LoadResult result, const std::function<void(Status)>& done);
  void Remove(const std::string& key, ByteCount freed);

  os::EventLoop& loop_;
  const DeviceCapabilities capabilities_;
  const OnChange on_change_;
  MeasuredArena arena_;
  std::map<std::string, Placement> placements_;

  // Last: their threads end before what they use goes.
  ThreadPool copying_{1};
  ThreadPool freeing_{1};
};

}  // namespace warmset

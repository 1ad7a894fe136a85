// The daemon's side of one device worker.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "daemon/component_cache.h"
#include "daemon/worker_supervisor.h"
#include "device/memory_pool.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"
#include "sync/messages.h"
#include "sync/state_mirror.h"
#include "wire/frame.h"

namespace warmset {

// A component on the device, as the worker last reported it.
struct DevicePlacement {
  ComponentId component;
  MemoryPool pool = MemoryPool::kDedicated;
  bool ready = false;  // else it is loading
  ByteCount bytes;     // that it takes on the device
  ByteCount loaded;    // of bytes
};

// The fields of DeviceState and SyncStatus.
struct DeviceLinkStatus {
  DeviceId device;
  std::string device_name;  // empty until the worker said hello
  ByteCount memory_limit;
  ByteCount memory_used;
  ByteCount shared_bytes;
  WorkerState worker = WorkerState::kStarting;
  pid_t worker_pid = 0;  // 0: none
  uint32_t worker_restarts = 0;
  std::string last_failure;  // how the last worker ended, empty if none did
  uint64_t daemon_term = 0;
  sync::MirrorStatus sync;
};

// What a worker fills a placement from: descriptors of the entry's sealed memfds, owned.
// With segments the data is compressed, see CompressedEntry::MakeFiles(), and the
// dedicated pool alone can use it.
struct PlacementSource {
  os::UniqueFd index;
  os::UniqueFd data;
  os::UniqueFd segments;
  uint64_t bytes = 0;  // of the entry, raw
  // Whose files these are: it stays in RAM, and in the budget, until the worker is done.
  ComponentCache::AnyForm form{};
};

struct ExportedChunk {
  os::UniqueFd fd;
  ByteCount bytes;
};
struct ExportedPlacement {
  os::UniqueFd index;  // offsets count from the first chunk's first byte
  std::vector<ExportedChunk> chunks;
};

// The worker's own word, asked for now, beside the mirror's.
struct WorkerReport {
  bool agrees = false;  // the mirror had the same at the same revision
  uint64_t revision = 0;
  std::vector<DevicePlacement> placements;
};

// Starts, watches and restarts one worker process, sends it commands and keeps
// the mirror of its state. It also keeps what should be on the device: what was
// placed, or announced by Want(), and not released. After a restart, or
// whenever the mirror shows otherwise, it fills the device again.
//
// Loop thread only. Callbacks run on the loop by themselves, never inside a call
// of the link, and each exactly once, unless the link is destroyed first.
class DeviceLink {
 public:
  using Options = WorkerSupervisor::Options;

  using FetchDone = std::function<void(StatusOr<PlacementSource>)>;
  struct Events {
    // Something that status() or placements() shows has changed.
    std::function<void()> changed;
    // Asks for a wanted component's entry, to fill the device again; the answer
    // may come at once or much later.
    std::function<void(const ComponentId&, FetchDone)> fetch;
    // The worker could not decode the component's source: the next one must be another.
    std::function<void(const ComponentId&, const ComponentCache::AnyForm&)> damaged;
    // A wanted component is given up: its entry could not be fetched, or the
    // worker refused it or died of it repeatedly. It is no longer wanted.
    std::function<void(const ComponentId&, const Status&)> lost;
  };

  using Progress = std::function<void(ByteCount loaded, ByteCount total)>;
  template <typename T>
  using Callback = std::function<void(StatusOr<T>)>;

  // Starts the worker; that it cannot be started shows in status(). The
  // destructor kills a worker that Shutdown() has not ended.
  DeviceLink(os::EventLoop& loop, Options options, Events events);
  DeviceLink(const DeviceLink&) = delete;
  DeviceLink& operator=(const DeviceLink&) = delete;

  // Brings a component onto the device. A worker that is starting is waited
  // for; one that is stalled or failed is kDeviceUnavailable. A placement that
  // is there or on its way is joined, unless it is in the other pool (kInUse).
  // After success the component is wanted; after a failure (kInvalidRequest,
  // kInsufficientDeviceMemory, kCorruptedModel for a compressed source that is damaged,
  // kDeviceUnavailable when the worker ended, kCancelled by Release) it is not and the
  // device is as before.
  void Place(const ComponentId& component, MemoryPool pool, PlacementSource source,
             Progress progress, std::function<void(Status)> done);

  // No longer wants the component, cancels its loading, and gives the bytes
  // that came back: 0 when there is no worker that could hold any. kNotLoaded
  // when it was neither there nor wanted; kDeviceUnavailable when the worker
  // does not answer: it will be released as soon as it does.
  void Release(const ComponentId& component, Callback<ByteCount> done);

  // Handles by which a client can map the placement. kNotLoaded,
  // kDeviceUnavailable.
  void Export(const ComponentId& component, Callback<ExportedPlacement> done);

  // A component that should be on the device (from the catalog, at start):
  // fetched and placed when the worker is ready.
  void Want(const ComponentId& component, MemoryPool pool);

  // Asks the worker what it has; kDeviceUnavailable when it does not answer.
  void QueryWorker(Callback<WorkerReport> done);

  // As the mirror has it; flagged by status().sync.in_sync.
  std::vector<DevicePlacement> placements() const;
  DeviceLinkStatus status() const;

  // Ends the worker (SIGTERM, then SIGKILL); whatever is under way fails with
  // kDeviceUnavailable. done runs when the process is gone.
  void Shutdown(std::function<void()> done);

 private:
  struct Wanted {
    MemoryPool pool = MemoryPool::kDedicated;
    bool fetching = false;
    int failed_refills = 0;
  };
  // A component on its way to the device.
  struct Placing {
    MemoryPool pool = MemoryPool::kDedicated;
    uint64_t bytes = 0;
    std::vector<wire::SharedFd> fds;  // of the source; until the command takes them
    bool compressed = false;
    ComponentCache::AnyForm form;
    bool sent = false;      // else it waits for the worker to be ready
    bool released = false;  // meanwhile
    std::vector<Progress> progress;
    std::vector<std::function<void(Status)>> done;
  };

  Status Enqueue(const ComponentId& component, MemoryPool pool, PlacementSource source,
                 Progress progress, std::function<void(Status)> done);
  void StartPlacing(const ComponentId& component);
  // By value: a reference could be to the key of what it takes out.
  void OnPlaced(ComponentId component, const Status& result);
  void StartReleasing(const ComponentId& component, Callback<ByteCount> done);
  void OnReleased(const ComponentId& component, const StatusOr<sync::Done>& end);
  void OnExported(StatusOr<sync::Done> end, std::vector<os::UniqueFd> fds,
                  const Callback<ExportedPlacement>& done);

  void OnReady();
  void OnDown(const Status& why);
  // Derives what must be done from what is wanted and what the mirror shows.
  void Reconcile();
  void Fetch(const ComponentId& component);
  void OnFetched(const ComponentId& component, StatusOr<PlacementSource> source);
  void Lose(const ComponentId& component, const Status& why);

  std::optional<DevicePlacement> Find(const ComponentId& component) const;
  const std::string& name() const { return options_.device.value(); }
  void Changed();
  // Runs an owner's callback, if there is one, by itself.
  template <typename Function, typename... Args>
  void Defer(const Function& function, Args... args);

  os::EventLoop& loop_;
  const Options options_;
  const Events events_;
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
  bool changed_posted_ = false;

  std::map<ComponentId, Wanted> wanted_;
  std::map<ComponentId, Placing> placing_;
  std::map<ComponentId, std::vector<Callback<ByteCount>>> releasing_;

  WorkerSupervisor worker_;  // last: it calls what is above
};

}  // namespace warmset

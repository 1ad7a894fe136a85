// The daemon's side of one device worker.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "device/memory_pool.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"
#include "sync/command_sender.h"
#include "sync/state_mirror.h"

namespace warmset {

enum class WorkerState {
  kStarting,  // the first process has not said hello yet
  kReady,
  kStalled,     // alive but silent; what is shown is the last that was known
  kRestarting,  // ended, or not yet ready again
  kFailed,      // ended several times without getting ready; still tried, rarely
};
// "starting" and so on, as in DeviceState.worker_state.
std::string_view WorkerStateName(WorkerState state);

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

// What a worker fills a placement from: descriptors of the entry's sealed
// memfds, owned.
struct PlacementSource {
  os::UniqueFd index;
  os::UniqueFd data;
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
// Loop thread only. Callbacks run on the loop, never inside the call that they
// answer, and each exactly once; none runs after the destructor. They may call
// the link, but must not destroy it.
class DeviceLink {
 public:
  struct Options {
    DeviceId device;
    ByteCount memory;            // budget of the dedicated pool
    uint64_t daemon_term = 0;    // from the catalog, greater than every earlier one
    std::string worker_program;  // empty: warmset-worker beside this program

    // A worker says something every 500 ms. After this much silence it is
    // stalled, after kill_stalled_after more it is killed and restarted.
    std::chrono::milliseconds stall_after{1500};
    std::chrono::milliseconds kill_stalled_after{30'000};
    std::chrono::milliseconds start_timeout{10'000};  // until its hello
    std::chrono::milliseconds stop_grace{2'000};      // from SIGTERM to SIGKILL
    std::chrono::milliseconds first_restart_delay{100};
    std::chrono::milliseconds max_restart_delay{30'000};
    sync::CommandSender::Options commands;
  };

  using FetchDone = std::function<void(StatusOr<PlacementSource>)>;
  struct Events {
    // Something that status() or placements() shows has changed.
    std::function<void()> changed;
    // Asks for a wanted component's entry, to fill the device again; the answer
    // may come at once or much later.
    std::function<void(const ComponentId&, FetchDone)> fetch;
    // A wanted component is given up: its entry could not be fetched, or the
    // worker refused it or died of it repeatedly. It is no longer wanted.
    std::function<void(const ComponentId&, const Status&)> lost;
  };

  using Progress = std::function<void(ByteCount loaded, ByteCount total)>;
  template <typename T>
  using Callback = std::function<void(StatusOr<T>)>;

  // Starts the worker; that it cannot be started shows in status().
  DeviceLink(os::EventLoop& loop, Options options, Events events);
  // Kills a worker that Shutdown() has not ended.
  ~DeviceLink();
  DeviceLink(const DeviceLink&) = delete;
  DeviceLink& operator=(const DeviceLink&) = delete;

  // Brings a component onto the device. A worker that is starting is waited
  // for; one that is stalled or failed is kDeviceUnavailable. A placement that
  // is there or on its way is joined, unless it is in the other pool (kInUse).
  // After success the component is wanted; after a failure (kInvalidRequest,
  // kInsufficientDeviceMemory, kDeviceUnavailable when the worker ended,
  // kCancelled by Release) it is not and the device is as before.
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
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace warmset

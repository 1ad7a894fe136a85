// The devices, and which component should be on which.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "daemon/component_cache.h"
#include "daemon/device_link.h"
#include "daemon/options.h"
#include "daemon/placement_demand.h"
#include "os/event_loop.h"

namespace warmset {

// One worker link per configured device. A placement of the shared pool pins
// its entry in RAM as long as it is wanted. Loop thread only; callbacks as in
// DeviceLink.
class DeviceService {
 public:
  struct Wanted {
    ModelId model;  // that was loaded
    DeviceId device;
    ComponentId component;
    MemoryPool pool = MemoryPool::kDedicated;
  };
  using FormDone = std::function<void(StatusOr<ComponentCache::AnyForm>)>;
  struct Events {
    // Gives a component that a restarted worker must get again, raw unless
    // compressed_serves.
    std::function<void(const ComponentId&, bool compressed_serves, FormDone)> fetch;
    // This compressed form of the component does not decode.
    std::function<void(const ComponentId&, const ComponentCache::AnyForm&)> damaged;
    // A wanted component could not be kept on its device.
    std::function<void(const DeviceId&, const ComponentId&, const Status&)> lost;
    // What is wanted has changed: to be written down for the next start.
    std::function<void(const std::vector<Wanted>&)> wanted_changed;
  };

  // `default_memory` is the budget of devices that are configured without one.
  DeviceService(os::EventLoop& loop, const Options& options, ByteCount default_memory,
                uint64_t daemon_term, Events events);

  // The device with that name, or the first for an empty one. kDeviceNotFound
  // names those that exist.
  StatusOr<DeviceId> Resolve(std::string_view name) const;
  // The configured default. REQUIRES: the device exists (as for all below).
  MemoryPool DefaultPool(const DeviceId& device) const;

  LoadId NewLoad() { return ++last_load_; }
  // See DeviceLink::Place(). A form that is compressed is decoded by the worker. The load
  // needs the component there until CommitLoad() or AbandonLoad().
  // REQUIRES: it is raw for the shared pool.
  void Place(const DeviceId& device, LoadId load, const ComponentId& component,
             const ComponentCache::AnyForm& form, MemoryPool pool, DeviceLink::Progress progress,
             std::function<void(Status)> done);
  // The model keeps on the device what the load has placed.
  void CommitLoad(const DeviceId& device, LoadId load, const ModelId& model);
  // What the load alone has placed leaves the device.
  void AbandonLoad(const DeviceId& device, LoadId load);
  // The model needs the component there no longer. True when no other model and no load
  // does: it can be released.
  bool Disown(const DeviceId& device, const ModelId& model, const ComponentId& component);
  // The models that keep the component there.
  const std::set<ModelId>& OwnersOf(const DeviceId& device, const ComponentId& component) const {
    return devices_.at(device).demand.ModelsOf(component);
  }
  // The model has these components now: what it kept besides leaves its devices.
  void KeepOnly(const ModelId& model, const std::set<ComponentId>& components);
  // Whoever needs it.
  void Release(const DeviceId& device, const ComponentId& component,
               DeviceLink::Callback<ByteCount> done);
  void Export(const DeviceId& device, const ComponentId& component,
              DeviceLink::Callback<ExportedPlacement> done);
  // An Export() of it is not answered: its client is about to hold it.
  bool IsBeingExported(const DeviceId& device, const ComponentId& component) const {
    return devices_.at(device).exports.contains(component);
  }
  void QueryWorker(const DeviceId& device, DeviceLink::Callback<WorkerReport> done);
  // At start: what an earlier daemon wanted. Devices that are gone are skipped.
  void Restore(const std::vector<Wanted>& wanted);

  // Whether the component should be on the device, there yet or not.
  bool IsWanted(const DeviceId& device, const ComponentId& component) const {
    return devices_.at(device).wanted.contains(component);
  }

  struct Placed {
    DeviceId device;
    DevicePlacement placement;
  };
  // Where the component is, ready or loading, as the workers reported it.
  const std::vector<Placed>& PlacementsOf(const ComponentId& component);

  struct DeviceReport {
    DeviceLinkStatus status;
    std::vector<DevicePlacement> placements;
  };
  std::vector<DeviceReport> Report() const;

  // Ends all workers, then runs done.
  void Shutdown(std::function<void()> done);

 private:
  struct WantedPool {
    MemoryPool pool = MemoryPool::kDedicated;
    ComponentCache::Held pin;  // of the shared pool, from when it is placed
  };
  struct Device {
    std::string pool;
    std::unique_ptr<DeviceLink> link;
    std::map<ComponentId, WantedPool> wanted{};
    PlacementDemand demand{};
    std::multiset<ComponentId> exports{};  // not answered
  };

  Device& At(const DeviceId& device) { return devices_.at(device); }
  void Fetch(const DeviceId& device, const ComponentId& component, DeviceLink::FetchDone done);
  void SetWanted(const DeviceId& device, const ComponentId& component, MemoryPool pool);
  void PinIfShared(const DeviceId& device, const ComponentId& component,
                   const ComponentCache::Held& held);
  void ClearWanted(const DeviceId& device, const ComponentId& component);
  void AnnounceWanted() const;

  os::EventLoop& loop_;
  const Events events_;
  std::map<DeviceId, Device> devices_;
  std::vector<DeviceId> order_;  // as configured
  LoadId last_load_ = 0;

  // Rebuilt from the mirrors when one has changed.
  std::unordered_map<ComponentId, std::vector<Placed>> placed_;
  bool placed_is_stale_ = true;
};

}  // namespace warmset

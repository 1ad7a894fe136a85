#include "daemon/device_service.h"

#include <utility>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

StatusOr<PlacementSource> SourceOf(const ComponentCache::AnyForm& form) {
  PlacementSource source;
  source.bytes = form.bytes();
  source.form = form;
  if (form.raw == nullptr) {
    ASSIGN_OR_RETURN(CompressedEntry::Files files, form.compressed->MakeFiles());
    source.index = std::move(files.index);
    source.data = std::move(files.streams);
    source.segments = std::move(files.segments);
    return source;
  }
  const Entry& entry = form.raw->entry();
  ASSIGN_OR_RETURN(source.index, os::Duplicate(entry.index_fd()));
  ASSIGN_OR_RETURN(source.data, os::Duplicate(entry.data_fd()));
  return source;
}

}  // namespace

DeviceService::DeviceService(os::EventLoop& loop, const Options& options, ByteCount default_memory,
                             uint64_t daemon_term, Events events)
    : loop_(loop), events_(std::move(events)) {
  for (const Options::Device& configured : options.devices) {
    const DeviceId id = configured.id;
    DeviceLink::Options link_options;
    link_options.device = id;
    link_options.memory = configured.memory.value_or(default_memory);
    link_options.daemon_term = daemon_term;
    link_options.worker_program = options.worker_program;
    DeviceLink::Events link_events{
        .changed = [this] { placed_is_stale_ = true; },
        .fetch = [this, id](const ComponentId& component,
                            DeviceLink::FetchDone done) { Fetch(id, component, std::move(done)); },
        .damaged = events_.damaged,
        .lost =
            [this, id](const ComponentId& component, const Status& why) {
              ClearWanted(id, component);
              events_.lost(id, component, why);
            },
    };
    devices_[id] = {configured.pool, std::make_unique<DeviceLink>(loop, std::move(link_options),
                                                                  std::move(link_events))};
    order_.push_back(id);
  }
}

void DeviceService::Fetch(const DeviceId& device, const ComponentId& component,
                          DeviceLink::FetchDone done) {
  const auto wanted = At(device).wanted.find(component);
  const bool compressed_serves =
      wanted != At(device).wanted.end() && wanted->second.pool == MemoryPool::kDedicated;
  events_.fetch(component, compressed_serves,
                [this, device, component,
                 done = std::move(done)](const StatusOr<ComponentCache::AnyForm>& form) {
                  if (!form.ok()) return done(form.status());
                  PinIfShared(device, component, form->raw);
                  done(SourceOf(*form));
                });
}

StatusOr<DeviceId> DeviceService::Resolve(std::string_view name) const {
  std::vector<std::string> names;
  for (const DeviceId& id : order_) {
    if (name.empty() || id.value() == name) return id;
    names.push_back(id.value());
  }
  return WithCandidates(
      Error(ErrorCode::kDeviceNotFound,
            fmt::format("there is no device '{}'; this daemon has {}", name,
                        names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")))),
      names);
}

MemoryPool DeviceService::DefaultPool(const DeviceId& device) const {
  return MemoryPoolFromName(devices_.at(device).pool).value_or(MemoryPool::kShared);
}

void DeviceService::Place(const DeviceId& device, LoadId load, const ComponentId& component,
                          const ComponentCache::AnyForm& form, MemoryPool pool,
                          DeviceLink::Progress progress, std::function<void(Status)> done) {
  At(device).demand.Begin(load, component);
  auto source = SourceOf(form);
  if (!source.ok()) {
    loop_.Post([done = std::move(done), status = source.status()] { done(status); });
    return;
  }
  At(device).link->Place(
      component, pool, std::move(*source), std::move(progress),
      [this, device, component, pool, raw = form.raw, done = std::move(done)](Status placed) {
        if (placed.ok() && !At(device).demand.IsNeeded(component)) {
          Release(device, component, nullptr);  // its model left meanwhile
          placed = Error(ErrorCode::kCancelled, "the component is gone from the library");
        }
        if (placed.ok()) {
          SetWanted(device, component, pool);
          PinIfShared(device, component, raw);
        }
        done(std::move(placed));
      });
}

void DeviceService::CommitLoad(const DeviceId& device, LoadId load, const ModelId& model) {
  At(device).demand.Commit(load, model);
  AnnounceWanted();
}

void DeviceService::AbandonLoad(const DeviceId& device, LoadId load) {
  for (const ComponentId& component : At(device).demand.Abandon(load)) {
    Release(device, component, nullptr);
  }
}

bool DeviceService::Disown(const DeviceId& device, const ModelId& model,
                           const ComponentId& component) {
  PlacementDemand& demand = At(device).demand;
  if (demand.Remove(model, component)) return true;
  AnnounceWanted();
  return !demand.IsNeeded(component);
}

void DeviceService::KeepOnly(const ModelId& model, const std::set<ComponentId>& components) {
  for (const DeviceId& id : order_) {
    for (const ComponentId& component : At(id).demand.ComponentsOf(model)) {
      if (!components.contains(component) && Disown(id, model, component)) {
        Release(id, component, nullptr);
      }
    }
  }
}

void DeviceService::Release(const DeviceId& device, const ComponentId& component,
                            DeviceLink::Callback<ByteCount> done) {
  At(device).link->Release(component, std::move(done));
  ClearWanted(device, component);
}

void DeviceService::Export(const DeviceId& device, const ComponentId& component,
                           DeviceLink::Callback<ExportedPlacement> done) {
  At(device).exports.insert(component);
  At(device).link->Export(component, [this, device, component, done = std::move(done)](
                                         StatusOr<ExportedPlacement> exported) {
    std::multiset<ComponentId>& exports = At(device).exports;
    exports.erase(exports.find(component));
    done(std::move(exported));
  });
}

void DeviceService::QueryWorker(const DeviceId& device, DeviceLink::Callback<WorkerReport> done) {
  At(device).link->QueryWorker(std::move(done));
}

void DeviceService::Restore(const std::vector<Wanted>& wanted) {
  for (const Wanted& item : wanted) {
    const auto found = devices_.find(item.device);
    if (found == devices_.end()) continue;
    found->second.demand.Restore(item.model, item.component);
    SetWanted(item.device, item.component, item.pool);
    found->second.link->Want(item.component, item.pool);
  }
}

void DeviceService::SetWanted(const DeviceId& device, const ComponentId& component,
                              MemoryPool pool) {
  if (At(device).wanted.try_emplace(component, WantedPool{pool, nullptr}).second) AnnounceWanted();
}

void DeviceService::ClearWanted(const DeviceId& device, const ComponentId& component) {
  At(device).demand.Clear(component);
  if (At(device).wanted.erase(component) > 0) AnnounceWanted();
}

void DeviceService::PinIfShared(const DeviceId& device, const ComponentId& component,
                                const ComponentCache::Held& held) {
  const auto wanted = At(device).wanted.find(component);
  if (wanted == At(device).wanted.end() || wanted->second.pool != MemoryPool::kShared) return;
  wanted->second.pin = held;
}

void DeviceService::AnnounceWanted() const {
  std::vector<Wanted> all;
  for (const auto& [id, device] : devices_) {
    for (const auto& [component, wanted] : device.wanted) {
      for (const ModelId& model : device.demand.ModelsOf(component)) {
        all.push_back({model, id, component, wanted.pool});
      }
    }
  }
  events_.wanted_changed(all);
}

const std::vector<DeviceService::Placed>& DeviceService::PlacementsOf(
    const ComponentId& component) {
  static const std::vector<Placed> kNowhere;
  if (std::exchange(placed_is_stale_, false)) {
    placed_.clear();
    for (const auto& [id, device] : devices_) {
      for (const DevicePlacement& placement : device.link->placements()) {
        placed_[placement.component].push_back({id, placement});
      }
    }
  }
  const auto found = placed_.find(component);
  return found == placed_.end() ? kNowhere : found->second;
}

std::vector<DeviceService::DeviceReport> DeviceService::Report() const {
  std::vector<DeviceReport> reports;
  for (const DeviceId& id : order_) {
    const DeviceLink& link = *devices_.at(id).link;
    reports.push_back({link.status(), link.placements()});
  }
  return reports;
}

void DeviceService::Shutdown(std::function<void()> done) {
  const auto left = std::make_shared<size_t>(devices_.size());
  if (*left == 0) return done();
  for (auto& [id, device] : devices_) {
    device.link->Shutdown([left, done] {
      if (--*left == 0) done();
    });
  }
}

}  // namespace warmset

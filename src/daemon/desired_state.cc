#include "daemon/desired_state.h"

#include "spdlog/spdlog.h"

namespace warmset {

void DesiredState::CacheChanged(const ComponentId& component) {
  for (const Model* model : registry_.UsersOf(component)) Write(model->summary.id);
}

void DesiredState::WantedChanged(const std::vector<DeviceService::Wanted>& wanted) {
  std::set<ComponentId> affected;
  for (const auto& [component, places] : wanted_) affected.insert(component);
  wanted_.clear();
  for (const DeviceService::Wanted& item : wanted) {
    wanted_[item.component].push_back(item);
    affected.insert(item.component);
  }
  for (const ComponentId& component : affected) CacheChanged(component);
}

void DesiredState::ModelChanged(const ModelId& model) {
  pending_.erase(model);
  Write(model);
}

void DesiredState::Write(const ModelId& id) {
  DesiredModel row{id, {}, {}};
  if (const Model* model = registry_.Find(id)) {
    if (model->ad_hoc) return;
    for (const ComponentSummary& component : model->summary.components) {
      const auto pending = pending_.find(id);
      const bool comes_back =
          pending != pending_.end() && pending->second.contains(component.name);
      if (comes_back || cache_.Has(component.id)) row.cached.push_back(component.name);
      const auto places = wanted_.find(component.id);
      if (places == wanted_.end()) continue;
      for (const DeviceService::Wanted& place : places->second) {
        row.placements.push_back(
            {component.name, place.device.value(), std::string(MemoryPoolName(place.pool))});
      }
    }
  }
  if (const Status written = catalog_.SetDesired(row); !written.ok()) {
    spdlog::warn("the catalog does not remember what is cached: {}", Message(written));
  }
}

StatusOr<std::vector<DeviceService::Wanted>> DesiredState::Read() {
  ASSIGN_OR_RETURN(const std::vector<DesiredModel> rows, catalog_.Desired());
  std::vector<DeviceService::Wanted> wanted;
  for (const DesiredModel& row : rows) {
    const Model* model = registry_.Find(row.model);
    if (model == nullptr) continue;
    if (!row.cached.empty()) {
      pending_[row.model] = {row.cached.begin(), row.cached.end()};
      order_.push_back(row.model);
    }
    for (const DesiredPlacement& placement : row.placements) {
      for (const ComponentSummary& component : model->summary.components) {
        if (component.name != placement.component) continue;
        wanted.push_back({DeviceId(placement.device), component.id,
                          MemoryPoolFromName(placement.pool).value_or(MemoryPool::kDedicated)});
      }
    }
  }
  return wanted;
}

void DesiredState::BringBack() {
  if (running_) return;
  if (order_.empty()) {
    for (const auto& [model, components] : pending_) order_.push_back(model);
  }
  BringBackNext();
}

void DesiredState::BringBackNext() {
  running_ = !order_.empty();
  if (!running_) return;
  const ModelId id = order_.front();
  order_.pop_front();
  const auto pending = pending_.find(id);
  if (pending == pending_.end()) return BringBackNext();
  ModelUse::Request request{.model = id,
                            .components = {pending->second.begin(), pending->second.end()},
                            // The user forced it before the restart, if that was needed.
                            .admission = Admission::kForced,
                            .may_evict = false,
                            .preload = PreloadReason::kRestart};
  uses_.Use(std::move(request), [this, id](const StatusOr<ModelUse::Result>& used) {
    // No room now may be room later: clients of the earlier daemon let go.
    if (used.ok() || CodeOf(used.status()) != ErrorCode::kRamLimitExceeded) pending_.erase(id);
    Write(id);
    BringBackNext();
  });
}

}  // namespace warmset

#include "daemon/desired_state.h"

#include <algorithm>
#include <utility>

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
  if (registry_.Find(model) == nullptr && registry_.SettingsOf(model).pinned) {
    const auto cached = written_.find(model);
    if (cached != written_.end()) pending_[model] = cached->second;
    return;
  }
  pending_.erase(model);
  Write(model);
}

void DesiredState::Write(const ModelId& id) {
  DesiredModel row{id, {}, {}};
  if (const Model* model = registry_.Find(id)) {
    if (model->ad_hoc) return;
    for (const ComponentSummary& component : model->summary.components) {
      const auto pending = pending_.find(id);
      const bool comes_back = pending != pending_.end() && pending->second.contains(component.name);
      if (comes_back || cache_.Has(component.id)) row.cached.push_back(component.name);
      const auto places = wanted_.find(component.id);
      if (places == wanted_.end()) continue;
      for (const DeviceService::Wanted& place : places->second) {
        if (place.model != id) continue;
        row.placements.push_back(
            {component.name, place.device.value(), std::string(MemoryPoolName(place.pool))});
      }
    }
  }
  if (row.cached.empty()) {
    written_.erase(id);
  } else {
    written_[id] = {row.cached.begin(), row.cached.end()};
  }
  (void)catalog_.SetDesired(row);  // WriteAll() when it can be written again
}

void DesiredState::WriteAll() {
  for (const auto& [name, model] : registry_.all()) Write(model->summary.id);
}

StatusOr<DesiredState::Earlier> DesiredState::Read(EarlierEnd end) {
  ASSIGN_OR_RETURN(const std::vector<DesiredModel> rows, catalog_.Desired());
  for (const DesiredModel& row : rows) {
    const bool away = registry_.Find(row.model) == nullptr;
    if (!away || row.cached.empty() || !registry_.SettingsOf(row.model).pinned) continue;
    pending_[row.model] = {row.cached.begin(), row.cached.end()};
  }
  Earlier earlier;
  std::vector<DesiredComponent> components = ComponentsOf(rows);
  for (const DesiredComponent& component : components) earlier.held += component.bytes;
  const ByteCount enough = end == EarlierEnd::kClean     ? earlier.held
                           : end == EarlierEnd::kUnclean ? ByteCount(earlier.held.value() / 2)
                                                         : ByteCount();
  std::set<ModelId> cut;
  for (const DesiredComponent& component : components) {
    const bool comes_back = end == EarlierEnd::kClean || earlier.coming_back < enough;
    if (!comes_back) {
      cut.insert(component.model);
      continue;
    }
    earlier.coming_back += component.bytes;
    if (component.cached) pending_[component.model].insert(component.name);
    for (const auto& [device, pool] : component.placements) {
      earlier.placements.push_back({component.model, device, component.id, pool});
    }
    if (order_.empty() || order_.back() != component.model) order_.push_back(component.model);
  }
  for (const ModelId& model : cut) Write(model);
  return earlier;
}

std::vector<DesiredState::DesiredComponent> DesiredState::ComponentsOf(
    const std::vector<DesiredModel>& rows) const {
  std::vector<DesiredComponent> components;
  std::set<ComponentId> counted;
  for (const DesiredModel& row : rows) {
    const Model* model = registry_.Find(row.model);
    if (model == nullptr) continue;
    for (const ComponentSummary& summary : model->summary.components) {
      DesiredComponent component{row.model, summary.id, summary.name};
      component.cached =
          std::find(row.cached.begin(), row.cached.end(), summary.name) != row.cached.end();
      for (const DesiredPlacement& placement : row.placements) {
        if (placement.component != summary.name) continue;
        component.placements.emplace_back(
            DeviceId(placement.device),
            MemoryPoolFromName(placement.pool).value_or(MemoryPool::kDedicated));
      }
      if (!component.cached && component.placements.empty()) continue;
      if (counted.insert(summary.id).second) component.bytes = ByteCount(summary.entry_bytes);
      components.push_back(std::move(component));
    }
  }
  return components;
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
  // One whose files are away waits for them.
  if (pending == pending_.end() || registry_.Find(id) == nullptr) return BringBackNext();
  ModelUse::Request request{.model = id,
                            .components = {pending->second.begin(), pending->second.end()},
                            // The user forced it before the restart, if that was needed.
                            .admission = Admission::kForced,
                            .may_evict = false,
                            .preload = PreloadReason::kRestart};
  uses_.Use(std::move(request), [this, id](const StatusOr<ModelUse::Result>& used) {
    // No room now may be room later, as clients of the earlier daemon let go; a server that
    // does not answer may do so later.
    const ErrorCode code = CodeOf(used.status());
    const bool later =
        !used.ok() && (code == ErrorCode::kRamLimitExceeded || code == ErrorCode::kTimeout);
    if (!later) pending_.erase(id);
    Write(id);
    BringBackNext();
  });
}

}  // namespace warmset

#include "daemon/placement_demand.h"

#include <utility>

namespace warmset {

void PlacementDemand::Begin(LoadId load, const ComponentId& component) {
  reasons_[component].loads.insert(load);
  loads_[load].insert(component);
}

void PlacementDemand::Commit(LoadId load, const ModelId& model) {
  const auto node = loads_.extract(load);
  if (node.empty()) return;
  for (const ComponentId& component : node.mapped()) {
    const auto found = reasons_.find(component);
    if (found == reasons_.end()) continue;  // cleared meanwhile
    found->second.models.insert(model);
    found->second.loads.erase(load);
  }
}

std::vector<ComponentId> PlacementDemand::Abandon(LoadId load) {
  const auto node = loads_.extract(load);
  if (node.empty()) return {};
  std::vector<ComponentId> unneeded;
  for (const ComponentId& component : node.mapped()) {
    if (End(component, &Reasons::loads, load)) unneeded.push_back(component);
  }
  return unneeded;
}

void PlacementDemand::Restore(const ModelId& model, const ComponentId& component) {
  reasons_[component].models.insert(model);
}

bool PlacementDemand::Remove(const ModelId& model, const ComponentId& component) {
  return End(component, &Reasons::models, model);
}

void PlacementDemand::Clear(const ComponentId& component) { reasons_.erase(component); }

std::vector<ComponentId> PlacementDemand::ComponentsOf(const ModelId& model) const {
  std::vector<ComponentId> components;
  for (const auto& [component, reasons] : reasons_) {
    if (reasons.models.contains(model)) components.push_back(component);
  }
  return components;
}

const std::set<ModelId>& PlacementDemand::ModelsOf(const ComponentId& component) const {
  static const std::set<ModelId> kNone;
  const auto found = reasons_.find(component);
  return found == reasons_.end() ? kNone : found->second.models;
}

template <typename Key>
bool PlacementDemand::End(const ComponentId& component, std::set<Key> Reasons::* kind,
                          const Key& key) {
  const auto found = reasons_.find(component);
  if (found == reasons_.end()) return false;
  (found->second.*kind).erase(key);
  if (!found->second.none()) return false;
  reasons_.erase(found);
  return true;
}

}  // namespace warmset

#include "place/desire_table.h"

#include <algorithm>

namespace warmset::place {

void DesireTable::Put(const DesireKey& key, Reason reason, const ComponentId& component) {
  const auto [found, is_new] = desires_.try_emplace(key);
  const Reason before = found->second.reason;
  found->second.reason = is_new ? reason : std::max(before, reason);
  SetComponent(key, component);
  if (is_new || found->second.reason != before) dirty_.insert(key);
}

void DesireTable::Restore(const DesireKey& key, Reason reason) {
  desires_.try_emplace(key, Desire{.reason = reason});
}

void DesireTable::Erase(const DesireKey& key) {
  SetComponent(key, std::nullopt);
  if (desires_.erase(key) > 0) dirty_.insert(key);
}

void DesireTable::SetComponent(const DesireKey& key, const std::optional<ComponentId>& component) {
  const auto found = desires_.find(key);
  if (found == desires_.end()) return;
  Desire& desire = found->second;
  if (desire.component && desire.component != component) {
    const auto keys = by_component_.find(*desire.component);
    keys->second.erase(key);
    if (keys->second.empty()) by_component_.erase(keys);
  }
  if (component) by_component_[*component].insert(key);
  desire.component = component;
  desire.why = OkStatus();
  desire.failures = 0;
  desire.retry_at.reset();
}

Desire* DesireTable::Find(const DesireKey& key) {
  const auto found = desires_.find(key);
  return found == desires_.end() ? nullptr : &found->second;
}

const std::set<DesireKey>& DesireTable::For(const ComponentId& component) const {
  static const std::set<DesireKey> kNone;
  const auto found = by_component_.find(component);
  return found == by_component_.end() ? kNone : found->second;
}

std::vector<DesireKey> DesireTable::OfModel(const ModelId& model) const {
  std::vector<DesireKey> keys;
  for (auto it = desires_.lower_bound({model, "", PlaceId(), Form::kRaw});
       it != desires_.end() && it->first.model == model; ++it) {
    keys.push_back(it->first);
  }
  return keys;
}

std::vector<std::pair<DesireKey, std::optional<Reason>>> DesireTable::TakeDirty() {
  std::vector<std::pair<DesireKey, std::optional<Reason>>> rows;
  for (const DesireKey& key : dirty_) {
    const Desire* const desire = Find(key);
    rows.emplace_back(key, desire ? std::optional(desire->reason) : std::nullopt);
  }
  dirty_.clear();
  return rows;
}

void DesireTable::SetDirty(const std::vector<std::pair<DesireKey, std::optional<Reason>>>& rows) {
  for (const auto& [key, reason] : rows) dirty_.insert(key);
}

}  // namespace warmset::place

#include "daemon/lease_table.h"

#include <utility>

#include "fmt/format.h"

namespace warmset {
namespace {

const LeaseTable::Holders kNobody;

// Counts one lease less and forgets what nobody holds.
template <typename Map>
void CountDown(Map& map, const typename Map::key_type& key, SessionId session) {
  const auto holders = map.find(key);
  if (--holders->second[session] > 0) return;
  holders->second.erase(session);
  if (holders->second.empty()) map.erase(holders);
}

}  // namespace

LeaseId LeaseTable::Add(const Lease& lease) {
  const LeaseId id = next_++;
  leases_.emplace(id, lease);
  by_session_[lease.session].insert(id);
  ++by_model_[lease.model][lease.session];
  ++by_place_[{lease.component, lease.device}][lease.session];
  return id;
}

Status LeaseTable::Release(SessionId session, LeaseId id) {
  const auto found = leases_.find(id);
  if (found == leases_.end() || found->second.session != session) {
    return Error(ErrorCode::kInvalidRequest, fmt::format("lease {} is not of this session", id));
  }
  by_session_[session].erase(id);
  End(id);
  return OkStatus();
}

void LeaseTable::EndSession(SessionId session) {
  const auto node = by_session_.extract(session);
  if (node.empty()) return;
  for (const LeaseId id : node.mapped()) End(id);
}

std::map<SessionId, std::vector<LeaseTable::Ended>> LeaseTable::EndLeasesOn(
    const std::set<ModelId>& models, const std::set<ComponentId>& components) {
  std::map<SessionId, std::map<ModelId, std::vector<LeaseId>>> ending;
  for (const auto& [id, lease] : leases_) {
    if (models.contains(lease.model) && components.contains(lease.component)) {
      ending[lease.session][lease.model].push_back(id);
    }
  }
  std::map<SessionId, std::vector<Ended>> ended;
  for (auto& [session, by_model] : ending) {
    for (auto& [model, leases] : by_model) {
      for (const LeaseId id : leases) {
        by_session_[session].erase(id);
        End(id);
      }
      ended[session].push_back({model, std::move(leases)});
    }
  }
  return ended;
}

void LeaseTable::End(LeaseId id) {
  const Lease lease = std::move(leases_.extract(id).mapped());
  CountDown(by_model_, lease.model, lease.session);
  CountDown(by_place_, {lease.component, lease.device}, lease.session);
  on_end_(lease);
}

const LeaseTable::Holders& LeaseTable::HoldersOf(const ModelId& model) const {
  const auto found = by_model_.find(model);
  return found == by_model_.end() ? kNobody : found->second;
}

const LeaseTable::Holders& LeaseTable::HoldersOf(const ComponentId& component,
                                                 const std::optional<DeviceId>& device) const {
  const auto found = by_place_.find({component, device});
  return found == by_place_.end() ? kNobody : found->second;
}

uint32_t CountLeases(const LeaseTable::Holders& holders) {
  uint32_t count = 0;
  for (const auto& [session, leases] : holders) count += leases;
  return count;
}

}  // namespace warmset

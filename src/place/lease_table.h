// Which session holds which placement.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "model/ids.h"

namespace warmset::place {

struct Lease {
  SessionId session;
  PlacementId placement;
  ModelId model;
};

// A value; not thread-safe. Rows count their own leases: see Row::leases.
class LeaseTable {
 public:
  LeaseId Add(const Lease& lease) {
    const LeaseId id(++last_);
    leases_.emplace(id, lease);
    ++of_model_[lease.model];
    return id;
  }
  // Nothing for a lease that has ended already.
  std::optional<Lease> End(LeaseId id) {
    const auto found = leases_.find(id);
    if (found == leases_.end()) return std::nullopt;
    const Lease lease = found->second;
    leases_.erase(found);
    if (--of_model_[lease.model] == 0) of_model_.erase(lease.model);
    return lease;
  }
  std::vector<LeaseId> OfSession(SessionId session) const {
    std::vector<LeaseId> ids;
    for (const auto& [id, lease] : leases_) {
      if (lease.session == session) ids.push_back(id);
    }
    return ids;
  }
  bool HasAnyOf(const ModelId& model) const { return of_model_.contains(model); }
  const std::map<LeaseId, Lease>& all() const { return leases_; }

 private:
  std::map<LeaseId, Lease> leases_;
  std::map<ModelId, uint32_t> of_model_;
  uint64_t last_ = 0;
};

}  // namespace warmset::place

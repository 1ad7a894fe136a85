// All that the residency machine knows: a value, so that a plan can go on with a copy.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "place/command.h"
#include "place/content_table.h"
#include "place/desire_table.h"
#include "place/event.h"
#include "place/lease_table.h"
#include "place/model_table.h"
#include "place/place_table.h"
#include "place/row_table.h"
#include "place/victim_policy.h"

namespace warmset::place {

// A request that is not answered.
struct Demand {
  Demanded what;
  // By part, from when it is admitted: then its memory is promised, and each row counts it.
  std::vector<PlacementId> rows{};
  bool admitted() const { return !rows.empty(); }
};

// What was dismissed, until the memory that this frees is free.
struct Dismissal {
  RequestId request{};
  std::set<PlacementId> rows{};
  ByteCount freed{};
  std::vector<PlacementId> stays{};
};

// A policy that is copied with the state.
class CopiedPolicy {
 public:
  explicit CopiedPolicy(std::unique_ptr<VictimPolicy> policy) : policy_(std::move(policy)) {}
  CopiedPolicy(const CopiedPolicy& other) : policy_(other.policy_->Copy()) {}
  CopiedPolicy& operator=(const CopiedPolicy&) = delete;
  VictimPolicy* operator->() { return policy_.get(); }

 private:
  std::unique_ptr<VictimPolicy> policy_;
};

struct State {
  RowTable rows;
  ContentTable contents;
  DesireTable desires;
  ModelTable models;
  PlaceTable places;
  LeaseTable leases;
  std::list<Demand> demands{};  // in the order in which they came
  std::list<Dismissal> dismissals{};
  std::set<std::pair<PlacementId, PlacementId>> comparisons{};  // under way
  CopiedPolicy policy;

  // Of persisting: one write at a time.
  uint64_t last_write = 0;
  std::vector<std::pair<DesireKey, std::optional<Reason>>> writing{};
  std::optional<Time> write_at{};  // not before, after one that failed

  explicit State(std::unique_ptr<VictimPolicy> eviction) : policy(std::move(eviction)) {}
};

}  // namespace warmset::place

// No place takes more than its limit, none grows while it is over it, and room is refused only
// where it can't be had, before anything was evicted for it.
#pragma once

#include <map>
#include <set>

#include "place/simulator/facts_for_test.h"
#include "place/simulator/wants_reference_for_test.h"

namespace warmset::place {

class RoomReference : public Reference {
 public:
  RoomReference(const Facts& facts, const WantsReference& wants, Violations& violations)
      : Reference(facts, violations), wants_(wants) {}
  void After(const Event& event, const Commands& commands, Time now) override;
  // Nothing is under way any more: what takes a place over its limit must stay there.
  void CheckQuiet();

 private:
  ByteCount TakenAt(const PlaceId& place) const;
  bool HasDependants(PlacementId id) const;
  void JudgeRefusal(const Answer& answer);
  // Bytes in RAM that no waiting gives back.
  ByteCount HeldForGood(const std::set<uint64_t>& needed) const;

  const WantsReference& wants_;
  std::set<RequestId> evicted_for_;   // since the last change of a limit
  std::set<PlacementId> leased_now_;  // by commands of this step
};

}  // namespace warmset::place

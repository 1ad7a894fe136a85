// How much room a place has, and which rows leave to make more.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "base/strong.h"
#include "place/state.h"

namespace warmset::place {

// Rows that a draft needs itself: they do not leave for it.
using Uses = std::set<PlacementId>;

struct Room {
  ByteCount limit{};
  ByteCount outside{};
  ByteCount promised{};  // to rows, filled or not, without those that are leaving
  ByteCount leaving{};   // still taken until it is released
  ByteCount evictable_now{};
  ByteCount evictable_later{};  // once all work under way has ended; includes the former

  // Without evicting anything.
  bool Fits(ByteCount bytes) const { return outside + promised + bytes <= limit; }
  bool FitsNow(ByteCount bytes) const {
    return outside + promised + bytes <= limit + evictable_now;
  }
  bool FitsEver(ByteCount bytes) const {
    return outside + promised + bytes <= limit + evictable_later;
  }
  // The most that a demand could get.
  ByteCount reachable() const {
    const ByteCount stays = outside + promised - evictable_later;
    return limit < stays ? ByteCount() : limit - stays;
  }
};
Room RoomAt(const State& state, const PlaceId& place, const Uses& uses);

// More is promised there than the limit allows: it was lowered.
bool IsOver(const State& state, const PlaceId& place);

// Memory that is taken there: by rows from the start of their fill until they are released,
// and by others.
ByteCount TakenAt(const State& state, const PlaceId& place);

// Rows that leave together: all forms of a component, or one of two forms.
struct EvictionStep {
  std::vector<PlacementId> rows{};
  bool whole = false;  // no form of the component stays
};
// The next step, by importance and then by the policy: first components that no model desires;
// then the raw form of components that have a compressed one; then whole components, the least
// important first; last the compressed form of components that have a raw one. Nothing when
// all other rows must stay.
std::optional<EvictionStep> NextEviction(State& state, const PlaceId& place, const Uses& uses);

// The rows for which others can't have the room, largest first.
std::vector<PlacementId> Blockers(const State& state, const PlaceId& place, const Uses& uses);

}  // namespace warmset::place

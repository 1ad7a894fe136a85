// How much room a place has, and what leaves it to make more.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "base/strong.h"
#include "place/state.h"

namespace warmset::place {

// Rows that what is planned needs itself: they do not leave for it.
using Uses = std::set<PlacementId>;

struct Room {
  ByteCount limit{};
  ByteCount outside{};
  ByteCount promised{};  // to rows, filled or not; those that are leaving left out
  ByteCount leaving{};   // still taken until it is released
  ByteCount evictable_now{};
  ByteCount evictable_later{};  // when what is under way has ended; includes the former

  // Without evicting anything.
  bool Fits(ByteCount bytes) const { return outside + promised + bytes <= limit; }
  bool FitsNow(ByteCount bytes) const {
    return outside + promised + bytes <= limit + evictable_now;
  }
  bool FitsEver(ByteCount bytes) const {
    return outside + promised + bytes <= limit + evictable_later;
  }
  // What can be had for one who needs it now.
  ByteCount reachable() const {
    const ByteCount stays = outside + promised - evictable_later;
    return limit < stays ? ByteCount() : limit - stays;
  }
};
Room RoomAt(const State& state, const PlaceId& place, const Uses& uses);

// More is promised there than the limit allows: it was lowered.
bool IsOver(const State& state, const PlaceId& place);

// Memory that is taken there: by rows that are filled or being filled, by what is leaving,
// and by others.
ByteCount TakenAt(const State& state, const PlaceId& place);

// What is given up together: a component in all its forms, or one of two forms.
struct EvictionStep {
  std::vector<PlacementId> rows{};
  bool whole = false;  // nothing of the component is left there
};
// The next step, by importance and then by the policy: first what nothing desires; then raw
// forms that are there compressed too; whole components, of low importance first; compressed
// forms of what is there raw. Nothing when all that is left must stay.
std::optional<EvictionStep> NextEviction(State& state, const PlaceId& place, const Uses& uses);

// The rows for which others can't have the room, largest first.
std::vector<PlacementId> Blockers(const State& state, const PlaceId& place, const Uses& uses);

}  // namespace warmset::place

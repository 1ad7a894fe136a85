// What must stay where it is, and how much it matters that the rest does.
#pragma once

#include <cstdint>

#include "place/state.h"

namespace warmset::place {

enum class Retention : uint8_t {
  kGone,  // nothing desires it
  kLow,
  kMedium,
  kHigh,
  kKept,  // never evicted: loaded, open by path, pinned, or its time to keep is not over
};

// Of one desire.
Retention RetentionOf(const State& state, const DesireKey& key, const Desire& desire);
// Of a content at a place: the highest of the models that desire it there.
Retention RetentionOf(const State& state, ContentId content, const PlaceId& place);

// Whether some desire is satisfied by the row.
bool IsDesired(const State& state, const Row& row);
// Whether a row that is ready satisfies the desire; or, with `or_coming`, one on its way.
bool IsSatisfied(const State& state, const DesireKey& key, const Desire& desire, bool or_coming);

// The desires that a row of that form satisfies, or would.
std::vector<DesireKey> DesiresFor(const State& state, ContentId content, const PlaceId& place,
                                  Form form);
// All for the content at the place.
std::vector<DesireKey> DesiresAt(const State& state, ContentId content, const PlaceId& place);

// The strategy that keeps most of the content raw, of the models that desire it in RAM.
CacheStrategy StrategyOf(const State& state, ContentId content);

}  // namespace warmset::place

// RAM and devices that take time and fail.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "place/command.h"
#include "place/event.h"
#include "place/simulator/memory_for_test.h"
#include "place/simulator/random_for_test.h"
#include "place/simulator/timeline_for_test.h"
#include "place/simulator/universe_for_test.h"

namespace warmset::place {

// Carries out commands as docs/design/residency.md lets a tier do, and reports by events at
// later times. While `bad`, everything that may fail does now and then.
class FakeTiers {
 public:
  using Report = std::function<void(const Event&)>;
  FakeTiers(Random& random, Timeline& timeline, const Universe& universe, Violations& violations,
            Report report)
      : random_(random),
        timeline_(timeline),
        universe_(universe),
        violations_(violations),
        report_(std::move(report)) {}

  bool bad = true;

  void Do(const Fill& fill);
  void Do(const Release& release);
  void Do(const Compare& compare);

  // A lease on the placement begins, ends.
  void Lease(PlacementId id);
  void EndLease(PlacementId id);

  // The place's worker starts: it is up by a later event.
  void Start(const PlaceId& place);
  // The place's worker dies. It is up again by a later event, unless for good.
  void Kill(const PlaceId& place, bool for_good);
  // What the place's worker says it has; now and then it has lost something, or has something
  // of its own.
  void Observe(const PlaceId& place);
  // A new life: RAM and workers are empty.
  void Clear();

  const Memories& memories() const { return memories_; }

 private:
  void Progress(PlacementId id, uint64_t life);
  void End(PlacementId id, uint64_t life, const Fill& fill);
  // What a fill comes to: OK, or why it fails.
  Status Outcome(const Fill& fill, const Memory& memory, std::optional<ByteCount>& needs);
  std::chrono::milliseconds Delay(uint64_t limit) {
    return std::chrono::milliseconds(1 + random_.Below(limit));
  }

  Random& random_;
  Timeline& timeline_;
  const Universe& universe_;
  Violations& violations_;
  const Report report_;
  Memories memories_;
  std::map<PlaceId, uint64_t> lives_;  // how often the place's worker has died
  std::set<PlaceId> dead_;
  uint64_t strays_ = 0;
};

}  // namespace warmset::place

// Every component that was ever asked for, and how it was used.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/digest.h"
#include "cache/eviction/eviction_policy.h"
#include "cache/eviction/use_history.h"

namespace warmset {

// Outlives what is in RAM, and through the catalog the daemon. Not thread-safe.
class UseLedger {
 public:
  struct Line {
    CachedObject object;
    UseHistory history;
  };

  void Count(const CachedObject& object);
  // A line of an earlier life.
  void Recall(const Line& line);

  // The number of the latest request.
  uint64_t now() const { return now_; }
  const std::unordered_map<ComponentId, Line>& lines() const { return lines_; }
  // Those that Count() changed since the last call.
  std::vector<Line> TakeChanged();

 private:
  uint64_t now_ = 0;
  std::unordered_map<ComponentId, Line> lines_;
  std::set<ComponentId> changed_;
};

}  // namespace warmset

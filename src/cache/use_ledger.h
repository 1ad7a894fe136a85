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
  // More are forgotten, those that were not used for longest first.
  static constexpr size_t kMaxLines = 65'536;

  struct Line {
    CachedObject object;
    UseHistory history;
    bool unwanted = false;  // the user took it out of RAM after its last use
  };

  void Count(const CachedObject& object);
  // A line of an earlier life.
  void Recall(const Line& line);

  // Until its next use. Nothing where it was never used.
  void SetUnwanted(const ComponentId& component);
  bool IsUnwanted(const ComponentId& component) const;

  // The number of the latest request.
  uint64_t now() const { return now_; }
  const std::unordered_map<ComponentId, Line>& lines() const { return lines_; }
  // Since the last call.
  struct Changes {
    std::vector<Line> lines;
    std::vector<ComponentId> forgotten;
  };
  Changes TakeChanges();

 private:
  void ForgetOldest();

  uint64_t now_ = 0;
  std::unordered_map<ComponentId, Line> lines_;
  std::set<ComponentId> changed_;
  std::vector<ComponentId> forgotten_;
};

}  // namespace warmset

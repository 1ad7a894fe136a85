// Whether compressing would save load time, and of which components.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/eviction/adaptive_policy.h"
#include "cache/eviction/eviction_policy.h"
#include "cache/form_ghost.h"
#include "model/cache_strategy.h"

namespace warmset {

// What the adaptive strategy does to each component. Two caches without bytes see
// every request: one keeps all components raw under EW3, the other each in the form
// where its bytes save most. Each is credited with the load time that it would have
// saved; what its compressing and decoding would have taken is taken off. A request
// 500 ago counts half. The one that saved more is followed. Not thread-safe.
class StrategyGhosts {
 public:
  explicit StrategyGhosts(uint64_t capacity_bytes);

  // Returns the components for which the answers below may be others than before.
  // as_raw: see FormGhost::Request().
  std::vector<ComponentId> Request(const ComponentId& id, const FormCosts& costs,
                                   bool as_raw = true);
  // Of an earlier life, see EvictionPolicy::Recall().
  void Recall(const CachedObject& object, const UseHistory& history);

  // Whether forms are mixed; else all is kept raw.
  bool CompressingPays() const { return mixes_; }
  // kSpeed or kBalanced.
  CacheStrategy StrategyFor(const ComponentId& id) const;
  // Its memory serves others better: it is to leave RAM before them.
  bool IsExpendable(const ComponentId& id) const;

 private:
  ShadowCache raw_;
  FormGhost mixed_;
  double saved_raw_ = 0;  // decayed seconds
  double saved_mixed_ = 0;
  bool mixes_ = false;
};

}  // namespace warmset

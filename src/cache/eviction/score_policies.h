// Policies that give each object a score and evict the lowest. A machine knows
// hundreds to tens of thousands of components, so all of them are kept and looked
// at: no sketches, no ghost queues.
#pragma once

#include <memory>
#include <unordered_map>

#include "cache/eviction/eviction_policy.h"
#include "cache/eviction/use_history.h"

namespace warmset {

// Keeps every object it ever heard of, and which of them are in RAM.
class ScorePolicy : public EvictionPolicy {
 public:
  void Recall(const CachedObject& object, const UseHistory& history) final;
  void Request(const CachedObject& object) final;
  void Insert(const CachedObject& object) final;
  void Remove(const ComponentId& id) final;
  std::optional<ComponentId> Victim(const MayEvict& may_evict) final;

 protected:
  struct Known {
    CachedObject object;
    UseHistory history;
    uint64_t requests_in_ram = 0;  // since it is in RAM
    uint64_t insertion = 0;        // by number
    double base = 0;               // the policy's own
    bool in_ram = false;
  };

  // The number of the current request.
  uint64_t now() const { return now_; }

 private:
  virtual double Score(const Known& known) const = 0;
  virtual void OnRequest(Known&) {}
  virtual void OnInsert(Known&) {}
  virtual void OnRemove(const Known&) {}

  uint64_t now_ = 0;
  uint64_t insertions_ = 0;
  std::unordered_map<ComponentId, Known> known_;
};

// What bringing the object back costs for each byte that it takes.
double CostPerByte(const CachedObject& object);

// Exponential windows: the rate of requests, see UseHistory, times the cost of
// loading, by size.
class Ew3Policy final : public ScorePolicy {
 public:
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return std::make_unique<Ew3Policy>(*this);
  }

 private:
  double Score(const Known& known) const override;
};

// The object whose last use is longest ago.
class LruPolicy final : public ScorePolicy {
 public:
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return std::make_unique<LruPolicy>(*this);
  }

 private:
  double Score(const Known& known) const override;
};

// The object with the fewest requests ever; of those the one not used for longest.
class LfuPolicy final : public ScorePolicy {
 public:
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return std::make_unique<LfuPolicy>(*this);
  }

 private:
  double Score(const Known& known) const override;
};

// Cherkasova, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency
// caching policy" (1998): requests since it is in RAM, times cost by size, on top
// of the score of what was evicted last.
class GdsfPolicy final : public ScorePolicy {
 public:
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return std::make_unique<GdsfPolicy>(*this);
  }

 private:
  double Score(const Known& known) const override;
  void OnRequest(Known& known) override;
  void OnInsert(Known& known) override;
  void OnRemove(const Known& known) override;
  double inflation_ = 0;
};

// The object whose next use, told by the interval between its last ones, is
// farthest, weighed by size and cost: right for cycles that are larger than RAM,
// where recency and frequency fail.
class NextUsePolicy final : public ScorePolicy {
 public:
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return std::make_unique<NextUsePolicy>(*this);
  }

 private:
  double Score(const Known& known) const override;
};

}  // namespace warmset

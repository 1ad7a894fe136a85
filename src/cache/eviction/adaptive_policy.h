// The policy that would have saved more of late.
#pragma once

#include <array>
#include <memory>
#include <unordered_map>

#include "cache/eviction/eviction_policy.h"

namespace warmset {

// What a policy would keep in a RAM of its own: ids and sizes, no bytes.
class ShadowCache {
 public:
  ShadowCache(std::unique_ptr<EvictionPolicy> policy, uint64_t capacity_bytes)
      : policy_(std::move(policy)), capacity_bytes_(capacity_bytes) {}

  // True if the object would be there. It is afterwards, if it fits at all.
  bool Request(const CachedObject& object);
  void Recall(const CachedObject& object, const UseHistory& history) {
    policy_->Recall(object, history);
  }

 private:
  void Insert(const CachedObject& object);

  const std::unique_ptr<EvictionPolicy> policy_;
  const uint64_t capacity_bytes_;
  uint64_t used_bytes_ = 0;
  std::unordered_map<ComponentId, uint64_t> bytes_;  // of what is there
};

// Two experts, EW3 for popularity and NextUse for cycles, each with a shadow cache
// that shows what it would have saved. Victims are those of the expert that saved
// the most load time, where a request 500 ago counts half.
class AdaptivePolicy final : public EvictionPolicy {
 public:
  explicit AdaptivePolicy(uint64_t capacity_bytes);

  void Request(const CachedObject& object) override;
  void Recall(const CachedObject& object, const UseHistory& history) override;
  void Insert(const CachedObject& object) override;
  void Remove(const ComponentId& id) override;
  std::optional<ComponentId> Victim(const MayEvict& may_evict) override;
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return experts_[chosen_].policy->Foresight();
  }

 private:
  struct Expert {
    std::unique_ptr<EvictionPolicy> policy;  // told of what is really in RAM
    ShadowCache shadow;
    double saved = 0;  // decayed seconds
  };
  std::array<Expert, 2> experts_;
  size_t chosen_ = 0;
};

}  // namespace warmset

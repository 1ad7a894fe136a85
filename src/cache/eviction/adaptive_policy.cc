#include "cache/eviction/adaptive_policy.h"

#include <cmath>

#include "cache/eviction/score_policies.h"

namespace warmset {
namespace {

constexpr double kHalfLife = 500;  // requests
// How much better the other expert must be: changing over empties RAM of what the
// first one kept.
constexpr double kAdvantage = 1.03;

}  // namespace

bool ShadowCache::Request(const CachedObject& object) {
  policy_->Request(object);
  const bool there = bytes_.contains(object.id);
  if (!there) Insert(object);
  return there;
}

void ShadowCache::Insert(const CachedObject& object) {
  if (object.bytes > capacity_bytes_) return;
  while (used_bytes_ + object.bytes > capacity_bytes_) {
    const auto victim = policy_->Victim([](const ComponentId&) { return true; });
    const auto found = bytes_.find(*victim);
    used_bytes_ -= found->second;
    bytes_.erase(found);
    policy_->Remove(*victim);
  }
  policy_->Insert(object);
  bytes_[object.id] = object.bytes;
  used_bytes_ += object.bytes;
}

AdaptivePolicy::AdaptivePolicy(uint64_t capacity_bytes)
    : experts_{Expert{std::make_unique<Ew3Policy>(),
                      ShadowCache(std::make_unique<Ew3Policy>(), capacity_bytes)},
               Expert{std::make_unique<NextUsePolicy>(),
                      ShadowCache(std::make_unique<NextUsePolicy>(), capacity_bytes)}} {}

void AdaptivePolicy::Request(const CachedObject& object) {
  static const double decay = std::exp2(-1 / kHalfLife);
  for (Expert& expert : experts_) {
    const bool hit = expert.shadow.Request(object);
    expert.saved = expert.saved * decay + (hit ? object.load_seconds : 0);
    expert.policy->Request(object);
  }
  const size_t other = 1 - chosen_;
  if (experts_[other].saved > experts_[chosen_].saved * kAdvantage) chosen_ = other;
}

void AdaptivePolicy::Recall(const CachedObject& object, const UseHistory& history) {
  for (Expert& expert : experts_) {
    expert.policy->Recall(object, history);
    expert.shadow.Recall(object, history);
  }
}

void AdaptivePolicy::Insert(const CachedObject& object) {
  for (Expert& expert : experts_) expert.policy->Insert(object);
}

void AdaptivePolicy::Remove(const ComponentId& id) {
  for (Expert& expert : experts_) expert.policy->Remove(id);
}

std::optional<ComponentId> AdaptivePolicy::Victim(const MayEvict& may_evict) {
  return experts_[chosen_].policy->Victim(may_evict);
}

}  // namespace warmset

// The oldest use leaves first.
#pragma once

#include <map>
#include <memory>

#include "place/victim_policy.h"

namespace warmset::place {

class LruPolicyForTest final : public VictimPolicy {
 public:
  void Used(const Victim& component) override { last_use_[component.component] = ++now_; }
  size_t Choose(std::span<const Victim> victims) override {
    size_t chosen = 0;
    for (size_t i = 1; i < victims.size(); ++i) {
      if (LastUse(victims[i]) < LastUse(victims[chosen])) chosen = i;
    }
    return chosen;
  }
  std::unique_ptr<VictimPolicy> Copy() const override {
    return std::make_unique<LruPolicyForTest>(*this);
  }

 private:
  uint64_t LastUse(const Victim& victim) const {
    const auto found = last_use_.find(victim.component);
    return found == last_use_.end() ? 0 : found->second;
  }
  std::map<ComponentId, uint64_t> last_use_;
  uint64_t now_ = 0;
};

}  // namespace warmset::place

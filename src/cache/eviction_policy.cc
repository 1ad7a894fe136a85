#include "cache/eviction_policy.h"

#include <iterator>

namespace warmset {

void LruPolicy::OnPublish(const Entry& entry) {
  place_[&entry] = by_use_.insert(by_use_.end(), &entry);
}

void LruPolicy::OnUse(const Entry& entry) {
  by_use_.splice(by_use_.end(), by_use_, place_.at(&entry));
}

void LruPolicy::OnRemove(const Entry& entry) {
  const auto found = place_.find(&entry);
  by_use_.erase(found->second);
  place_.erase(found);
}

const Entry* LruPolicy::Victim(const std::function<bool(const Entry&)>& may_evict) const {
  for (const Entry* entry : by_use_) {
    if (may_evict(*entry)) return entry;
  }
  return nullptr;
}

}  // namespace warmset

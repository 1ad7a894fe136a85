// Which entry goes when room is needed.
#pragma once

#include <functional>
#include <list>
#include <unordered_map>

#include "cache/entry.h"

namespace warmset {

// Told of every entry's life by the store that it belongs to. Not thread-safe.
class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  virtual void OnPublish(const Entry& entry) = 0;
  virtual void OnUse(const Entry& entry) = 0;
  virtual void OnRemove(const Entry& entry) = 0;
  // The entry to evict next of those that may_evict; nullptr when there is none.
  virtual const Entry* Victim(const std::function<bool(const Entry&)>& may_evict) const = 0;
};

// The entry whose last use is longest ago.
class LruPolicy : public EvictionPolicy {
 public:
  void OnPublish(const Entry& entry) override;
  void OnUse(const Entry& entry) override;
  void OnRemove(const Entry& entry) override;
  const Entry* Victim(const std::function<bool(const Entry&)>& may_evict) const override;

 private:
  std::list<const Entry*> by_use_;  // least recently used first
  std::unordered_map<const Entry*, std::list<const Entry*>::iterator> place_;
};

}  // namespace warmset

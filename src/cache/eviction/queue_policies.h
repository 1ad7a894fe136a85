// Policies that keep objects in queues and know nothing of sizes' worth or costs.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>
#include <unordered_set>

#include "cache/eviction/eviction_policy.h"

namespace warmset {

// Zhang et al., "SIEVE is Simpler than LRU" (NSDI 2024): one queue, a mark for what
// was used again, and a hand that moves from the oldest to the newest.
class SievePolicy final : public EvictionPolicy {
 public:
  SievePolicy() = default;
  SievePolicy(const SievePolicy& other);
  SievePolicy& operator=(const SievePolicy&) = delete;

  void Request(const CachedObject& object) override;
  void Insert(const CachedObject& object) override;
  void Remove(const ComponentId& id) override;
  std::optional<ComponentId> Victim(const MayEvict& may_evict) override;
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return std::make_unique<SievePolicy>(*this);
  }

 private:
  struct Node {
    ComponentId id;
    bool used = false;
  };
  std::list<Node> queue_;  // oldest first
  std::list<Node>::iterator hand_ = queue_.end();
  std::unordered_map<ComponentId, std::list<Node>::iterator> place_;
};

// Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023): a
// small queue for what is new, a main one for what was used again, and the ids of
// what left the small one. Queues are measured in bytes.
class S3FifoPolicy final : public EvictionPolicy {
 public:
  explicit S3FifoPolicy(uint64_t capacity_bytes) : small_limit_(capacity_bytes / 10) {}
  S3FifoPolicy(const S3FifoPolicy& other);
  S3FifoPolicy& operator=(const S3FifoPolicy&) = delete;

  void Request(const CachedObject& object) override;
  void Insert(const CachedObject& object) override;
  void Remove(const ComponentId& id) override;
  std::optional<ComponentId> Victim(const MayEvict& may_evict) override;
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return std::make_unique<S3FifoPolicy>(*this);
  }

 private:
  static constexpr unsigned kMaxUses = 3;
  struct Node {
    ComponentId id;
    uint64_t bytes = 0;
    unsigned uses = 0;
    bool in_main = false;
  };
  using Queue = std::list<Node>;  // oldest first

  std::optional<ComponentId> VictimOfSmall(const MayEvict& may_evict);
  std::optional<ComponentId> VictimOfMain(const MayEvict& may_evict);
  void RememberGhost(const ComponentId& id);

  const uint64_t small_limit_;
  uint64_t small_bytes_ = 0;
  Queue small_;
  Queue main_;
  std::unordered_map<ComponentId, Queue::iterator> place_;
  std::list<ComponentId> ghosts_;  // oldest first, as many as there are objects in main_
  std::unordered_map<ComponentId, std::list<ComponentId>::iterator> ghost_place_;
};

}  // namespace warmset

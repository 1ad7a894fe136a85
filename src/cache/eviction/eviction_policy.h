// Which object leaves RAM when room is needed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/digest.h"
#include "base/status.h"
#include "cache/eviction/use_history.h"

namespace warmset {

// A component as policies see it, in RAM or not.
struct CachedObject {
  ComponentId id;
  uint64_t bytes = 0;
  double load_seconds = 0;  // what bringing it back costs, as measured
};

// Told of every request and of what is in RAM; asked for victims. Time is counted
// in requests: a policy has no clock, so the same requests give the same choices.
// Not thread-safe.
class EvictionPolicy {
 public:
  using MayEvict = std::function<bool(const ComponentId&)>;

  virtual ~EvictionPolicy() = default;

  // A request for the object, whether it is in RAM or not.
  virtual void Request(const CachedObject& object) = 0;
  // What was known of the object in an earlier life: before its first Request().
  // Policies of queues have no use for it.
  virtual void Recall(const CachedObject&, const UseHistory&) {}
  // It is in RAM from now on, asked for or not. REQUIRES: it is not there yet.
  virtual void Insert(const CachedObject& object) = 0;
  // It left RAM, evicted or dropped. REQUIRES: it is there.
  virtual void Remove(const ComponentId& id) = 0;
  // What should go next of that which is in RAM and may_evict; nothing when there
  // is none. It stays until Remove().
  virtual std::optional<ComponentId> Victim(const MayEvict& may_evict) = 0;
  // A copy that names the same victims as this policy would, one after another, and
  // need not learn anything else: for plans.
  virtual std::unique_ptr<EvictionPolicy> Foresight() const = 0;
};

// What users may choose, the default first: "ew3", "adaptive", "lru", "lfu", "gdsf",
// "s3fifo", "sieve".
std::span<const std::string_view> EvictionPolicyNames();

// A policy for a RAM of that many bytes. kInvalidConfig for an unknown name, naming
// the known ones.
StatusOr<std::unique_ptr<EvictionPolicy>> MakeEvictionPolicy(std::string_view name,
                                                             uint64_t capacity_bytes);

}  // namespace warmset

#include "policy/simulate.h"

#include <algorithm>
#include <unordered_map>

namespace warmset::bench {
namespace {

// Adds up hits and misses of what is counted.
class Counter {
 public:
  void Count(const TraceObject& object, bool hit) {
    const double bytes = static_cast<double>(object.bytes);
    all_.object_hits += 1;
    all_.byte_hits += bytes;
    all_.cost_saved += object.load_seconds;
    if (!hit) return;
    hits_.object_hits += 1;
    hits_.byte_hits += bytes;
    hits_.cost_saved += object.load_seconds;
  }
  Savings Shares() const {
    if (all_.object_hits == 0) return {};
    return {.object_hits = hits_.object_hits / all_.object_hits,
            .byte_hits = hits_.byte_hits / all_.byte_hits,
            .cost_saved = all_.cost_saved == 0 ? 0 : hits_.cost_saved / all_.cost_saved};
  }

 private:
  Savings all_;  // sums here
  Savings hits_;
};

// Chooses by what the trace will ask for.
class Belady final : public EvictionPolicy {
 public:
  Belady(const Trace& trace, const std::vector<CachedObject>& objects) {
    uint64_t time = 0;
    for (const Trace::Request& request : trace.requests) {
      for (const uint32_t object : request.objects) uses_[objects[object].id].push_back(time++);
    }
  }

  void Request(const CachedObject& object) override {
    std::vector<uint64_t>& uses = uses_[object.id];
    size_t& next = next_[object.id];
    if (next < uses.size()) ++next;
    ++now_;
  }
  void Insert(const CachedObject& object) override { bytes_[object.id] = object.bytes; }
  void Remove(const ComponentId& id) override { bytes_.erase(id); }
  std::optional<ComponentId> Victim(const MayEvict& may_evict) override {
    std::optional<ComponentId> victim;
    double worst = -1;
    for (const auto& [id, bytes] : bytes_) {
      if (!may_evict(id)) continue;
      const double cost = Distance(id) * static_cast<double>(bytes);
      if (cost <= worst) continue;
      worst = cost;
      victim = id;
    }
    return victim;
  }
  std::unique_ptr<EvictionPolicy> Foresight() const override {
    return std::make_unique<Belady>(*this);
  }

 private:
  double Distance(const ComponentId& id) const {
    const std::vector<uint64_t>& uses = uses_.at(id);
    const size_t next = next_.at(id);
    return next == uses.size() ? 1e18 : static_cast<double>(uses[next] - now_ + 1);
  }

  uint64_t now_ = 0;
  std::unordered_map<ComponentId, std::vector<uint64_t>> uses_;
  std::unordered_map<ComponentId, size_t> next_;  // the place of the next use
  std::unordered_map<ComponentId, uint64_t> bytes_;
};

std::vector<CachedObject> ObjectsOf(const Trace& trace) {
  std::vector<CachedObject> objects;
  for (const TraceObject& object : trace.objects) {
    objects.push_back({.id = DigestOf<ComponentId>(AsBytes(object.name)),
                       .bytes = object.bytes,
                       .load_seconds = object.load_seconds});
  }
  return objects;
}

Savings Play(const Trace& trace, const std::vector<CachedObject>& objects, uint64_t capacity_bytes,
             double warmup, EvictionPolicy& policy) {
  const auto counted_from =
      static_cast<size_t>(warmup * static_cast<double>(trace.requests.size()));
  std::unordered_map<ComponentId, uint64_t> in_ram;  // bytes
  std::unordered_map<ComponentId, size_t> needed;    // the last request that asked for it
  uint64_t used = 0;
  Counter counter;
  for (size_t number = 0; number < trace.requests.size(); ++number) {
    const Trace::Request& request = trace.requests[number];
    for (const uint32_t place : request.objects) needed[objects[place].id] = number;
    const auto may_evict = [&](const ComponentId& id) { return needed[id] != number; };
    for (const uint32_t place : request.objects) {
      const CachedObject& object = objects[place];
      const bool hit = in_ram.contains(object.id);
      if (number >= counted_from) counter.Count(trace.objects[place], hit);
      policy.Request(object);
      if (hit) continue;
      while (used + object.bytes > capacity_bytes) {
        const auto victim = policy.Victim(may_evict);
        if (!victim) break;
        used -= in_ram.at(*victim);
        in_ram.erase(*victim);
        policy.Remove(*victim);
      }
      if (used + object.bytes > capacity_bytes) continue;
      policy.Insert(object);
      in_ram[object.id] = object.bytes;
      used += object.bytes;
    }
  }
  return counter.Shares();
}

}  // namespace

Savings Simulate(const Trace& trace, uint64_t capacity_bytes, double warmup,
                 EvictionPolicy& policy) {
  return Play(trace, ObjectsOf(trace), capacity_bytes, warmup, policy);
}

Savings SimulateBelady(const Trace& trace, uint64_t capacity_bytes, double warmup) {
  const auto objects = ObjectsOf(trace);
  Belady belady(trace, objects);
  return Play(trace, objects, capacity_bytes, warmup, belady);
}

}  // namespace warmset::bench

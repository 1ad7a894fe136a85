// Plays a trace against a policy and counts what it saved.
#pragma once

#include <cstdint>

#include "cache/eviction/eviction_policy.h"
#include "policy/trace.h"

namespace warmset::bench {

struct Savings {
  double object_hits = 0;  // shares, 0 to 1, of what was asked for after the warm-up
  double byte_hits = 0;
  double cost_saved = 0;  // of the seconds of loading without a cache
};

// Objects of one request stay until all of it is there. warmup: the share of the
// requests at the start that is not counted.
Savings Simulate(const Trace& trace, uint64_t capacity_bytes, double warmup,
                 EvictionPolicy& policy);

// Belady-Size: evicts the object whose next use is farthest, times its size. It
// knows the future; close to the best that any policy could do.
Savings SimulateBelady(const Trace& trace, uint64_t capacity_bytes, double warmup);

}  // namespace warmset::bench

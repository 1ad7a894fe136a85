// Eviction policies on a trace, beside what knowing the future would save.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "policy/simulate_strategies.h"
#include "policy/trace.h"

namespace warmset::bench {

struct PolicyOptions {
  std::string trace;  // files, see ReadTrace(); empty: generated
  std::string sizes;
  std::string generate = "real-like";
  std::vector<std::string> capacities = {"24GB", "48GB", "80GB"};
  double warmup = 0.1;
  uint64_t seed = 1;
  AssumedCodec codec;
};
Status RunPolicy(const PolicyOptions& options);

}  // namespace warmset::bench

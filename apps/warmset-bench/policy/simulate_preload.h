// Plays a trace past the predictors that preloading goes by.
#pragma once

#include <cstdint>

#include "policy/trace.h"

namespace warmset::bench {

// Preloads are those of a probability of 75 % and more, as in the daemon.
struct PreloadQuality {
  uint64_t predicted = 0;  // after the warm-up
  double precision = 0;    // of predicted: used in time
  double recall = 0;       // of what was used so: predicted
  double coverage = 0;     // of all uses: of something that was predicted
};

// What a user asks for within a minute after something else, told from that.
PreloadQuality SimulateCompanions(const Trace& trace, double warmup);

// Every 500 uses a RAM of that size is empty, as after a restart, and is filled with
// what is likely to be used in the next 500.
PreloadQuality SimulatePopular(const Trace& trace, uint64_t capacity_bytes, double warmup);

}  // namespace warmset::bench

// Plays a trace past caches that keep objects raw, compressed, or as adaptive does.
#pragma once

#include <cstdint>

#include "policy/trace.h"

namespace warmset::bench {

// What the codec is assumed to do on the machine of the trace.
struct AssumedCodec {
  double ratio = 1.49;
  double decode_gb_s = 10;
  double encode_gb_s = 9;  // of all processors together
};

// Shares of the seconds of loading without a cache that each strategy saves, decoding
// and encoding taken off.
struct StrategySavings {
  double raw = 0;
  double compressed = 0;
  double mixed = 0;     // each object in the form that saves most
  double adaptive = 0;  // raw or mixed, whichever saved more so far
};

// warmup: the share of the requests at the start that is not counted.
StrategySavings SimulateStrategies(const Trace& trace, uint64_t capacity_bytes, double warmup,
                                   const AssumedCodec& codec);

}  // namespace warmset::bench

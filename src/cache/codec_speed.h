// How fast this machine compresses, before it has compressed anything.
#pragma once

#include "base/status.h"

namespace warmset {

struct CodecSpeed {
  double encode_bytes_per_second = 0;  // of raw bytes, on one thread
  double decode_bytes_per_second = 0;  // on two, into memory that is touched
};

// Encodes and decodes a few MiB of BF16 weights, several times, and takes the best.
// Takes some hundredths of a second. kInternal where the codec fails.
StatusOr<CodecSpeed> MeasureCodecSpeed();

}  // namespace warmset

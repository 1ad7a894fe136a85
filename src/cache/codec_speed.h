// How fast this machine compresses, before it has compressed anything.
#pragma once

#include "base/status.h"

namespace warmset {

struct CodecSpeed {
  // Of raw bytes, on one thread.
  double encode_bytes_per_second = 0;  // what was encoded decoded again, to be compared
  double decode_bytes_per_second = 0;  // into memory that is new
};

// Encodes and decodes a few MiB of BF16 weights, several times, and takes the best.
// Takes some hundredths of a second. kInternal where the codec fails, kIoError without
// memory.
StatusOr<CodecSpeed> MeasureCodecSpeed();

}  // namespace warmset

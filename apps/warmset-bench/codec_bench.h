// Codecs on synthetic weights or on a file's tensors, beside memcpy.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace warmset::bench {

struct CodecOptions {
  std::string file;   // a safetensors file; synthetic weights where empty
  uint64_t mib = 64;  // of each dtype
  unsigned rounds = 11;
  uint64_t seed = 1;
};
// For each dtype, one thread, RAM to RAM: the ratio, and encode, decode and
// memcpy in GB/s of decoded bytes, medians of interleaved rounds. Time is the
// thread's own (CLOCK_THREAD_CPUTIME_ID), so that others on the machine disturb
// less. kCorruptedModel if a codec does not give back what it was given.
Status RunCodec(const CodecOptions& options);

}  // namespace warmset::bench

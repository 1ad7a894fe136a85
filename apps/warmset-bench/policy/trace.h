// Who asked for what, and when: what eviction policies are compared on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace warmset::bench {

struct TraceObject {
  std::string name;
  uint64_t bytes = 0;
  double load_seconds = 0;
};

// Requests name objects by their place in `objects`.
struct Trace {
  struct Request {
    double time_s = 0;
    std::string user;
    std::vector<uint32_t> objects;
  };
  std::vector<TraceObject> objects;
  std::vector<Request> requests;
};

// `time_s,user,objects` with objects as ids that ';' separates, and
// `id,bytes,load_s`; either with or without a line of titles. kFileNotFound,
// kInvalidRequest with the line for what can't be read, and for an object without
// a size.
StatusOr<Trace> ReadTrace(const std::string& trace_file, const std::string& sizes_file);

// A stand-in for the requests of an image generation service: 105 base models of
// 2 to 7 GB (Zipf 1.43), 874 LoRAs of 38 to 456 MB (Zipf 0.92) in 22 % of the
// requests, users who come back to what they used. Sizes are assumed, and a load is
// assumed to take 0.1 s and a second for 3 GB.
enum class TraceKind {
  kRealLike,
  kSwap,  // popularity changes sides in the middle
  kScan,  // and every model is asked for once, again and again
  kLoop,  // all base models in turn
};
struct GeneratorOptions {
  TraceKind kind = TraceKind::kRealLike;
  uint64_t requests = 68'195;
  uint64_t seed = 1;
};
Trace GenerateTrace(const GeneratorOptions& options);

}  // namespace warmset::bench

#include "cache/strategy_ghosts.h"

#include <algorithm>
#include <cmath>

#include "cache/eviction/score_policies.h"

namespace warmset {
namespace {

const double kDecay = std::exp2(-1.0 / 500);

}  // namespace

StrategyGhosts::StrategyGhosts(uint64_t capacity_bytes)
    : raw_(std::make_unique<Ew3Policy>(), capacity_bytes),
      compressed_(std::make_unique<Ew3Policy>(), capacity_bytes) {}

void StrategyGhosts::Request(const CachedObject& object, const Compressed& compressed) {
  saved_raw_ *= kDecay;
  saved_compressed_ *= kDecay;
  if (raw_.Request(object)) saved_raw_ += object.load_seconds;
  CachedObject smaller = object;
  smaller.bytes = compressed.bytes;
  saved_compressed_ += compressed_.Request(smaller)
                           ? std::max(0.0, object.load_seconds - compressed.decode_seconds)
                           : -compressed.encode_seconds;
}

}  // namespace warmset

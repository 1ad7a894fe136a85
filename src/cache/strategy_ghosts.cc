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

void StrategyGhosts::Request(const CachedObject& object, uint64_t compressed_bytes,
                             double decode_seconds) {
  saved_raw_ *= kDecay;
  saved_compressed_ *= kDecay;
  if (raw_.Request(object)) saved_raw_ += object.load_seconds;
  CachedObject smaller = object;
  smaller.bytes = compressed_bytes;
  if (compressed_.Request(smaller)) {
    saved_compressed_ += std::max(0.0, object.load_seconds - decode_seconds);
  }
}

}  // namespace warmset

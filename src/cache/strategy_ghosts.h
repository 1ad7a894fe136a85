// Whether keeping components compressed would save load time.
#pragma once

#include <cstdint>

#include "cache/eviction/adaptive_policy.h"
#include "cache/eviction/eviction_policy.h"

namespace warmset {

// Two caches without bytes, which see every request: one keeps all components raw,
// the other all compressed. Each is credited with the load time that it would have
// saved; what its compressing and decoding would have taken is taken off. A request
// 500 ago counts half. Not thread-safe.
class StrategyGhosts {
 public:
  explicit StrategyGhosts(uint64_t capacity_bytes);

  // object: the component raw, as policies see it.
  // What it would be and take compressed.
  struct Compressed {
    uint64_t bytes = 0;
    double encode_seconds = 0;  // that other work goes without
    double decode_seconds = 0;
  };
  void Request(const CachedObject& object, const Compressed& compressed);

  // Of an earlier life, see EvictionPolicy::Recall().
  void Recall(const CachedObject& object, const UseHistory& history) {
    raw_.Recall(object, history);
    compressed_.Recall(object, history);
  }

  bool CompressingPays() const { return saved_compressed_ > saved_raw_ * kLeastAdvantage; }

 private:
  // Changing over takes time, too.
  static constexpr double kLeastAdvantage = 1.05;

  ShadowCache raw_;
  ShadowCache compressed_;
  double saved_raw_ = 0;  // decayed seconds
  double saved_compressed_ = 0;
};

}  // namespace warmset

#include "cache/eviction/use_history.h"

#include <cmath>

namespace warmset {
namespace {

double Decay(double requests, double half_life) { return std::exp2(-requests / half_life); }

}  // namespace

void UseHistory::Count(uint64_t now) {
  const auto distance = static_cast<double>(now - last_request);
  for (size_t i = 0; i < kHalfLives.size(); ++i) {
    // A request a window's length ago weighs as much in every window.
    const double weight = std::log(2.0) / kHalfLives[i];
    rates[i] = rates[i] * Decay(distance, kHalfLives[i]) + weight;
  }
  if (requests > 0) {
    constexpr double kNewest = 0.5;  // the share of the last interval in the smoothed one
    interval = interval == 0 ? distance : interval + kNewest * (distance - interval);
  }
  ++requests;
  last_request = now;
}

double UseHistory::RateAt(uint64_t now) const {
  const auto distance = static_cast<double>(now - last_request);
  double sum = 0;
  for (size_t i = 0; i < kHalfLives.size(); ++i) sum += rates[i] * Decay(distance, kHalfLives[i]);
  return sum / static_cast<double>(kHalfLives.size());
}

}  // namespace warmset

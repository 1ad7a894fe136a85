#include "cache/preload/use_predictor.h"

#include <algorithm>
#include <cmath>

namespace warmset {
namespace {

constexpr double kLeastChecked = 8;  // predictions of a bin
constexpr double kFadeAt = 1000;     // of them; then both counts are halved
constexpr double kFirstBin = -3;     // the power of two below which bin 0 lies

}  // namespace

size_t UsePredictor::BinOf(const UseHistory& history, uint64_t now) {
  const double expected = history.RateAt(now) * static_cast<double>(kHorizon);
  if (expected <= 0) return 0;
  const double bin = std::floor(std::log2(expected)) - kFirstBin + 1;
  return static_cast<size_t>(std::clamp(bin, 0.0, static_cast<double>(kBins - 1)));
}

void UsePredictor::Observe(const UseLedger& ledger) {
  const uint64_t now = ledger.now();
  if (now < predicted_at_ + kHorizon) return;
  for (const auto& [component, bin] : predictions_) {
    const auto line = ledger.lines().find(component);
    if (line == ledger.lines().end()) continue;
    Bin& checked = bins_[bin];
    if (checked.predicted >= kFadeAt) {
      checked.predicted /= 2;
      checked.used /= 2;
    }
    checked.predicted += 1;
    if (line->second.history.last_request > predicted_at_) checked.used += 1;
  }
  predictions_.clear();
  predicted_at_ = now;
  for (const auto& [component, line] : ledger.lines()) {
    predictions_.emplace_back(component, BinOf(line.history, now));
  }
}

double UsePredictor::Probability(const UseHistory& history, uint64_t now) const {
  const Bin& bin = bins_[BinOf(history, now)];
  return bin.predicted < kLeastChecked ? 0 : bin.used / bin.predicted;
}

}  // namespace warmset

// Repeated measurements of one thing.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "json.h"

namespace warmset::bench {

using Clock = std::chrono::steady_clock;

inline double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Samples {
 public:
  void Add(double value) { values_.push_back(value); }
  size_t size() const { return values_.size(); }

  // REQUIRES: size() > 0, 0 <= share <= 1.
  double Percentile(double share) const {
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
  }
  double Median() const { return Percentile(0.5); }

  // Median, 99th percentile and extremes, each times scale.
  Json Summary(double scale = 1) const {
    Json json;
    json.Add("p50", Median() * scale).Add("p99", Percentile(0.99) * scale);
    json.Add("min", Percentile(0) * scale).Add("max", Percentile(1) * scale);
    return json.Add("samples", size());
  }
  const std::vector<double>& values() const { return values_; }

 private:
  std::vector<double> values_;
};

}  // namespace warmset::bench

#include "cache/usage_log.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/strong.h"

namespace warmset {
namespace {

constexpr std::array<uint64_t, 3> kSizeClasses = {64 * kMiB, 512 * kMiB, 4 * kGiB};

size_t SizeClassOf(uint64_t bytes) {
  return static_cast<size_t>(
      std::lower_bound(kSizeClasses.begin(), kSizeClasses.end(), bytes) - kSizeClasses.begin());
}

// Load time that some accesses would have taken, and that they did not take.
struct Savings {
  double load_seconds = 0;
  double saved_seconds = 0;

  void Add(const UsageLog::Access& access) {
    load_seconds += access.load_seconds;
    if (access.source == UsageLog::Source::kLoaded) return;
    saved_seconds += std::max(0.0, access.load_seconds - access.seconds);
  }
  double share() const { return load_seconds > 0 ? saved_seconds / load_seconds : 0; }
};

double Deviation(const std::vector<double>& values) {
  if (values.empty()) return 0;
  const auto count = static_cast<double>(values.size());
  double mean = 0;
  for (const double value : values) mean += value / count;
  double variance = 0;
  for (const double value : values) variance += (value - mean) * (value - mean) / count;
  return std::sqrt(variance);
}

// REQUIRES: sorted is not empty.
double Percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

}  // namespace

void UsageLog::AddAccess(const Access& access) {
  ++counts_[static_cast<size_t>(access.source)];
  accesses_.push_back(access);
  if (accesses_.size() > kKept) accesses_.pop_front();
}

void UsageLog::AddEviction(Eviction eviction) {
  evictions_.push_back(std::move(eviction));
  if (evictions_.size() > kKeptEvictions) evictions_.pop_front();
}

UsageLog::Summary UsageLog::Summarize() const {
  Summary summary{.accesses = counts_};
  if (accesses_.empty()) return summary;
  std::vector<double> seconds;
  Savings all;
  std::array<Savings, kSizeClasses.size() + 1> by_size;
  size_t hits = 0;
  for (const Access& access : accesses_) {
    seconds.push_back(access.seconds);
    hits += access.source != Source::kLoaded ? 1U : 0U;
    all.Add(access);
    by_size[SizeClassOf(access.bytes)].Add(access);
  }
  std::sort(seconds.begin(), seconds.end());
  summary.hit_rate = static_cast<double>(hits) / static_cast<double>(accesses_.size());
  summary.p50_seconds = Percentile(seconds, 0.5);
  summary.p99_seconds = Percentile(seconds, 0.99);
  summary.time_saved = all.share();
  std::vector<double> shares;
  for (const Savings& savings : by_size) {
    if (savings.load_seconds > 0) shares.push_back(savings.share());
  }
  summary.deviation_over_sizes = Deviation(shares);
  return summary;
}

}  // namespace warmset

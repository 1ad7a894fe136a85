// What requests for models found in RAM, and what left it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>

namespace warmset {

// Remembers the last kKept accesses and kKeptEvictions evictions. Not thread-safe.
class UsageLog {
 public:
  static constexpr size_t kKept = 1000;
  static constexpr size_t kKeptEvictions = 20;

  // Where a request found what it asked for; the slowest of its components counts.
  enum class Source : uint8_t { kRaw, kDecoded, kLoaded };
  struct Access {
    Source source = Source::kRaw;
    uint64_t bytes = 0;
    double seconds = 0;       // until it could be handed out
    double load_seconds = 0;  // that loading all of it from disk takes
  };
  void AddAccess(const Access& access);

  struct Eviction {
    std::string label;  // "sdxl/unet"
    std::chrono::seconds since_last_use{0};
    std::string reason;
  };
  void AddEviction(Eviction eviction);

  struct Summary {
    std::array<uint64_t, 3> accesses{};  // by Source, of all since the start
    // Of those remembered; zero when there are none.
    double hit_rate = 0;  // in RAM, in any form
    double p50_seconds = 0;
    double p99_seconds = 0;
    double time_saved = 0;  // share of the load time that RAM saved, 0 to 1
    // The standard deviation of time_saved over classes of sizes: to 64 MiB, to
    // 512 MiB, to 4 GiB, and above.
    double deviation_over_sizes = 0;
  };
  Summary Summarize() const;
  const std::deque<Eviction>& evictions() const { return evictions_; }  // the latest last

 private:
  std::array<uint64_t, 3> counts_{};
  std::deque<Access> accesses_;
  std::deque<Eviction> evictions_;
};

}  // namespace warmset

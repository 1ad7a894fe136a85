// Chance that a seed repeats.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace warmset::place {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  bool Percent(uint64_t percent) { return Below(100) < percent; }
  // REQUIRES: there is one.
  template <typename T>
  const T& OneOf(const std::vector<T>& all) {
    return all[Below(all.size())];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace warmset::place

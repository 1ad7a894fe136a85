// In which form a component is kept in RAM: docs/design/cache.md.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace warmset {

enum class CacheStrategy : uint8_t {
  kSpeed,     // raw
  kMemory,    // compressed; raw only while a lease holds it
  kBalanced,  // raw while it is used, compressed afterwards; raw stays while there is room
  kAdaptive,  // as kSpeed or kBalanced, whichever saves more load time by the byte
};

inline constexpr std::array<std::string_view, 4> kCacheStrategyNames = {"speed", "memory",
                                                                        "balanced", "adaptive"};

constexpr std::string_view CacheStrategyName(CacheStrategy strategy) {
  return kCacheStrategyNames[static_cast<size_t>(strategy)];
}

// The one of both that keeps more raw.
constexpr CacheStrategy MoreRaw(CacheStrategy a, CacheStrategy b) {
  constexpr std::array<uint8_t, 4> kRaw = {3, 0, 1, 2};  // by strategy
  return kRaw[static_cast<size_t>(a)] >= kRaw[static_cast<size_t>(b)] ? a : b;
}

// Words of other programs for them (docs/configuration.md).
inline constexpr std::array<std::pair<std::string_view, CacheStrategy>, 3> kOtherStrategyNames = {{
    {"standard", CacheStrategy::kSpeed},
    {"optimized", CacheStrategy::kAdaptive},
    {"memory_optimized", CacheStrategy::kMemory},
}};

// In any case, with '-' as '_'. Nothing for a name that is none of the above.
constexpr std::optional<CacheStrategy> CacheStrategyFromName(std::string_view name) {
  const auto is = [name](std::string_view known) {
    return std::equal(name.begin(), name.end(), known.begin(), known.end(), [](char a, char b) {
      return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a == '-' ? '_' : a) == b;
    });
  };
  for (size_t i = 0; i < kCacheStrategyNames.size(); ++i) {
    if (is(kCacheStrategyNames[i])) return static_cast<CacheStrategy>(i);
  }
  for (const auto& [word, strategy] : kOtherStrategyNames) {
    if (is(word)) return strategy;
  }
  return std::nullopt;
}

}  // namespace warmset

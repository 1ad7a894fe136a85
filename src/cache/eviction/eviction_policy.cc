#include "cache/eviction/eviction_policy.h"

#include <array>
#include <string>

#include "cache/eviction/adaptive_policy.h"
#include "cache/eviction/queue_policies.h"
#include "cache/eviction/score_policies.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset {
namespace {

using Made = std::unique_ptr<EvictionPolicy>;
struct Choice {
  std::string_view name;
  Made (*make)(uint64_t capacity_bytes);
};

template <typename Policy>
Made Make(uint64_t capacity_bytes) {
  if constexpr (std::is_constructible_v<Policy, uint64_t>) {
    return std::make_unique<Policy>(capacity_bytes);
  } else {
    return std::make_unique<Policy>();
  }
}

constexpr std::array kChoices = {
    Choice{"ew3", Make<Ew3Policy>},     Choice{"adaptive", Make<AdaptivePolicy>},
    Choice{"lru", Make<LruPolicy>},     Choice{"lfu", Make<LfuPolicy>},
    Choice{"gdsf", Make<GdsfPolicy>},   Choice{"s3fifo", Make<S3FifoPolicy>},
    Choice{"sieve", Make<SievePolicy>},
};

constexpr auto kNames = [] {
  std::array<std::string_view, kChoices.size()> names;
  for (size_t i = 0; i < names.size(); ++i) names[i] = kChoices[i].name;
  return names;
}();

}  // namespace

std::span<const std::string_view> EvictionPolicyNames() { return kNames; }

StatusOr<std::unique_ptr<EvictionPolicy>> MakeEvictionPolicy(std::string_view name,
                                                             uint64_t capacity_bytes) {
  for (const Choice& choice : kChoices) {
    if (choice.name == name) return choice.make(capacity_bytes);
  }
  return Error(ErrorCode::kInvalidConfig,
               fmt::format("'{}' is no eviction policy; known are {}", name,
                           fmt::join(kNames, ", ")));
}

}  // namespace warmset

// Runs of the residency machine with everything that may fail failing. Deterministic: the
// seed of a failure is printed, WARMSET_SEED=<seed> runs it alone and tells what happened;
// WARMSET_SEEDS=<n> runs more of them (scripts/simulate.sh).
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "fmt/format.h"
#include "place/simulator/world_for_test.h"

namespace warmset::place {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kSeeds = 150;
#elif defined(__has_feature)
constexpr uint64_t kSeeds =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ? 150 : 1500;
#else
constexpr uint64_t kSeeds = 1500;
#endif

std::optional<uint64_t> FromEnvironment(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

TEST(Simulation, EveryInvariantHoldsAfterEveryStep) {
  const auto one = FromEnvironment("WARMSET_SEED");
  const uint64_t first = one.value_or(FromEnvironment("WARMSET_FIRST_SEED").value_or(1));
  const uint64_t seeds = one ? 1 : FromEnvironment("WARMSET_SEEDS").value_or(kSeeds);
  uint64_t served = 0;
  uint64_t steps = 0;
  for (uint64_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    World world(seed);
    world.trace = one.has_value();
    world.Run();
    for (const std::string& line : world.log()) std::puts(line.c_str());
    for (const std::string& violation : world.violations().all()) {
      ADD_FAILURE() << fmt::format("WARMSET_SEED={}: {}", seed, violation);
    }
    served += world.served();
    steps += world.steps();
  }
  if (one) return;
  std::puts(fmt::format("{} steps, {} requests served", steps, served).c_str());
  EXPECT_GT(served, seeds * 10);  // the runs did something
}

}  // namespace
}  // namespace warmset::place

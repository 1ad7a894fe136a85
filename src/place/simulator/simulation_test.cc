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

// Further ones that are the only ones known to notice some rule's absence.
constexpr uint64_t kMoreSeeds[] = {51402};

struct Totals {
  uint64_t steps = 0;
  uint64_t served = 0;
};

void RunSeed(uint64_t seed, bool trace, Totals& totals) {
  World world(seed);
  world.trace = trace;
  world.Run();
  for (const std::string& line : world.log()) std::puts(line.c_str());
  for (const std::string& violation : world.violations().all()) {
    ADD_FAILURE() << fmt::format("WARMSET_SEED={}: {}", seed, violation);
  }
  totals.steps += world.steps();
  totals.served += world.served();
}

TEST(Simulation, EveryInvariantHoldsAfterEveryStep) {
  Totals totals;
  if (const auto one = FromEnvironment("WARMSET_SEED"))
    return RunSeed(*one, /*trace=*/true, totals);
  const uint64_t first = FromEnvironment("WARMSET_FIRST_SEED").value_or(1);
  const uint64_t seeds = FromEnvironment("WARMSET_SEEDS").value_or(kSeeds);
  for (uint64_t seed = first; seed < first + seeds && !HasFailure(); ++seed) {
    RunSeed(seed, /*trace=*/false, totals);
  }
  for (const uint64_t seed : kMoreSeeds) {
    if (!HasFailure()) RunSeed(seed, /*trace=*/false, totals);
  }
  std::puts(fmt::format("{} steps, {} requests served", totals.steps, totals.served).c_str());
  EXPECT_GT(totals.served, seeds * 10);  // the runs did something
}

}  // namespace
}  // namespace warmset::place

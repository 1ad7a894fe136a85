#include "os/fault.h"

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace warmset::os {
namespace {

struct FaultState {
  absl::Mutex mutex;
  FaultPlan plan ABSL_GUARDED_BY(mutex);
  int seen ABSL_GUARDED_BY(mutex) = 0;
  int failed ABSL_GUARDED_BY(mutex) = 0;
  uint64_t plans ABSL_GUARDED_BY(mutex) = 0;  // that were armed or ended
};

FaultState& State() {
  static auto* state = new FaultState;  // outlives every thread
  return *state;
}

}  // namespace

namespace internal {

std::atomic<bool> fault_armed{false};

int FaultFor(std::string_view call, std::string_view path) {
  FaultState& state = State();
  absl::MutexLock lock(&state.mutex);
  if (state.plan.call != call) return 0;
  if (path.find(state.plan.path) == std::string_view::npos) return 0;
  ++state.seen;
  const bool fails =
      state.plan.keep_failing ? state.seen >= state.plan.nth : state.seen == state.plan.nth;
  if (!fails) return 0;
  ++state.failed;
  if (!state.plan.hangs) return state.plan.error_number;
  struct Waiting {
    FaultState& state;
    uint64_t plan;
  } waiting{state, state.plans};
  state.mutex.Await(absl::Condition(
      +[](Waiting* each) ABSL_NO_THREAD_SAFETY_ANALYSIS { return each->state.plans != each->plan; },
      &waiting));
  return 0;
}

}  // namespace internal

void ArmFault(const FaultPlan& plan) {
  FaultState& state = State();
  absl::MutexLock lock(&state.mutex);
  state.plan = plan;
  ++state.plans;
  state.seen = 0;
  state.failed = 0;
  internal::fault_armed.store(true);
}

int DisarmFault() {
  FaultState& state = State();
  absl::MutexLock lock(&state.mutex);
  internal::fault_armed.store(false);
  state.plan = {};
  ++state.plans;
  return state.failed;
}

}  // namespace warmset::os

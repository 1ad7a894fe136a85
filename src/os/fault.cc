#include "os/fault.h"

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace warmset::os {
namespace {

struct FaultState {
  absl::Mutex mutex;
  FaultPlan plan ABSL_GUARDED_BY(mutex);
  int seen ABSL_GUARDED_BY(mutex) = 0;
  int failed ABSL_GUARDED_BY(mutex) = 0;
};

FaultState& State() {
  static auto* state = new FaultState;  // outlives every thread
  return *state;
}

}  // namespace

namespace internal {

std::atomic<bool> fault_armed{false};

int FaultFor(std::string_view call) {
  FaultState& state = State();
  absl::MutexLock lock(&state.mutex);
  if (state.plan.call != call) return 0;
  ++state.seen;
  const bool fails =
      state.plan.keep_failing ? state.seen >= state.plan.nth : state.seen == state.plan.nth;
  if (!fails) return 0;
  ++state.failed;
  return state.plan.error_number;
}

}  // namespace internal

void ArmFault(const FaultPlan& plan) {
  FaultState& state = State();
  absl::MutexLock lock(&state.mutex);
  state.plan = plan;
  state.seen = 0;
  state.failed = 0;
  internal::fault_armed.store(true);
}

int DisarmFault() {
  FaultState& state = State();
  absl::MutexLock lock(&state.mutex);
  internal::fault_armed.store(false);
  state.plan = {};
  return state.failed;
}

}  // namespace warmset::os

#include "base/signs_of_life.h"

#include <algorithm>

#include "absl/time/time.h"

namespace warmset {

void SignsOfLife::End() {
  absl::MutexLock lock(&mutex_);
  ended_ = true;
}

Status SignsOfLife::Wait(std::chrono::milliseconds patience, const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  constexpr int kLooks = 8;  // within the patience
  const std::stop_callback on_stop(stop, [this] {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
  });
  uint64_t steps = steps_;
  auto moved = Clock::now();
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(
          absl::Condition(
              +[](SignsOfLife* life) ABSL_EXCLUSIVE_LOCKS_REQUIRED(life->mutex_) {
                return life->ended_ || life->stopped_;
              },
              this),
          absl::FromChrono(std::max(patience / kLooks, std::chrono::milliseconds(1))));
      if (ended_) return OkStatus();
      if (stopped_) return Error(ErrorCode::kCancelled, "it was stopped");
    }
    const uint64_t now = steps_;
    if (now != steps) {
      steps = now;
      moved = Clock::now();
    } else if (Clock::now() - moved >= patience) {
      return Error(ErrorCode::kTimeout, "it does not move");
    }
  }
}

}  // namespace warmset

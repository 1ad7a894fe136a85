#include "base/courtesy.h"

#include <algorithm>

#include "absl/time/time.h"

namespace warmset {

void Courtesy::SetBusy(bool busy) {
  absl::MutexLock lock(&mutex_);
  busy_ = busy;
}

void Courtesy::Wait(std::chrono::nanoseconds& patience, const std::stop_token& stop) const {
  // A stop does not wake a mutex: it is looked at now and again.
  constexpr std::chrono::nanoseconds kSlice = std::chrono::milliseconds(5);
  absl::MutexLock lock(&mutex_);
  while (busy_ && patience.count() > 0 && !stop.stop_requested()) {
    const auto slice = std::min(patience, kSlice);
    const auto started = std::chrono::steady_clock::now();
    mutex_.AwaitWithTimeout(
        absl::Condition(+[](const bool* busy) { return !*busy; }, &busy_),
        absl::FromChrono(slice));
    patience -= std::min(patience, std::chrono::nanoseconds(
                                       std::chrono::steady_clock::now() - started));
  }
}

}  // namespace warmset

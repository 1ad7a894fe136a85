#include "cache/touch_ahead.h"

#include <algorithm>

#include "base/strong.h"
#include "os/huge_pages.h"

namespace warmset {
namespace {

constexpr uint64_t kStepBytes = 8 * kMiB;

}  // namespace

TouchAhead::TouchAhead(std::span<std::byte> memory, uint64_t touched_bytes) : memory_(memory) {
  if (touched_bytes >= memory.size()) {
    ready_ = memory.size();
    return;
  }
  ready_ = AlignDown(touched_bytes, os::kHugePageBytes);
  thread_ = std::thread([this, from = ready_] { Touch(from); });
}

TouchAhead::~TouchAhead() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void TouchAhead::WaitFor(uint64_t end) {
  absl::MutexLock lock(&mutex_);
  const auto is_ready = [this, end]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return ready_ >= end; };
  mutex_.Await(absl::Condition(&is_ready));
}

void TouchAhead::Touch(uint64_t from) {
  for (uint64_t at = from; at < memory_.size();) {
    const uint64_t step = std::min(kStepBytes, memory_.size() - at);
    os::TouchMemory(memory_.subspan(at, step));
    at += step;
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    ready_ = at;
  }
}

}  // namespace warmset

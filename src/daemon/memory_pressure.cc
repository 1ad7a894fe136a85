#include "daemon/memory_pressure.h"

#include <algorithm>
#include <chrono>

#include "base/units.h"
#include "os/cgroup.h"
#include "os/system_memory.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

constexpr std::chrono::seconds kInterval{1};

}  // namespace

ByteCount LimitUnderPressure(ByteCount configured, ByteCount used, ByteCount available,
                             ByteCount keep_free) {
  if (available < keep_free) {
    return std::min(configured, used - std::min(used, keep_free - available));
  }
  // The sum of the smaller ones: that of all might not fit.
  return std::min(configured,
                  std::min(configured, used) + std::min(configured, available - keep_free));
}

MemoryPressure::MemoryPressure(os::EventLoop& loop, Budget& budget, ComponentCache& cache,
                               ByteCount keep_free)
    : loop_(loop),
      budget_(budget),
      cache_(cache),
      keep_free_(keep_free),
      configured_limit_(budget.Use().limit) {
  if (auto stalls = os::WatchMemoryStalls(); stalls.ok()) {
    stalls_ = *std::move(stalls);
    const Status watched = loop_.Watch(stalls_.get(), EPOLLPRI, [this](uint32_t) { Look(); });
    if (!watched.ok()) stalls_.Reset();
  }
  Look();
  LookAgainLater();
}

MemoryPressure::~MemoryPressure() {
  loop_.Cancel(timer_);
  if (stalls_.valid()) loop_.Unwatch(stalls_.get());
}

void MemoryPressure::LookAgainLater() {
  timer_ = loop_.RunAfter(kInterval, [this] {
    Look();
    LookAgainLater();
  });
}

void MemoryPressure::Look() {
  const auto system = os::AvailableMemory();
  if (!system.ok()) return;
  const ByteCount available = std::min(*system, os::CgroupHeadroom());
  const BudgetUse use = budget_.Use();
  // What loads have reserved is not all taken from the system yet.
  const ByteCount used = use.total() - use.loading;
  const ByteCount limit = LimitUnderPressure(configured_limit_, used, available, keep_free_);
  if (limit != use.limit) budget_.SetLimit(limit);
  if (use.total() <= limit) return;
  const size_t evicted = cache_.ShrinkToLimit();
  if (evicted > 0) {
    spdlog::warn("memory is short, {} are left: {} components left RAM", FormatSize(available),
                 evicted);
  }
}

}  // namespace warmset

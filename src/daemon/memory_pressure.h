// Gives way when the machine runs short of memory.
#pragma once

#include "base/strong.h"
#include "cache/budget.h"
#include "daemon/component_cache.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"

namespace warmset {

// The limit under which keep_free bytes stay free, at most the configured one, where
// `used` are used now and `available` are free.
ByteCount LimitUnderPressure(ByteCount configured, ByteCount used, ByteCount available,
                             ByteCount keep_free);

// Keeps the budget's limit where so much memory stays free for others, by the
// system's count and by this process's cgroup: lowered while memory is short, so
// that entries leave RAM before the kernel ends anybody, and raised again up to the
// configured limit. Looks once a second, and at once when the kernel reports that
// tasks wait for memory (PSI), where it does. Loop thread only.
class MemoryPressure {
 public:
  // All must outlive it.
  MemoryPressure(os::EventLoop& loop, Budget& budget, ComponentCache& cache, ByteCount keep_free);
  ~MemoryPressure();
  MemoryPressure(const MemoryPressure&) = delete;
  MemoryPressure& operator=(const MemoryPressure&) = delete;

  // Sets the limit by what is free now.
  void Look();

 private:
  void LookAgainLater();

  os::EventLoop& loop_;
  Budget& budget_;
  ComponentCache& cache_;
  const ByteCount keep_free_;
  const ByteCount configured_limit_;
  os::UniqueFd stalls_;  // PSI; none where the kernel has no such thing
  os::EventLoop::TimerId timer_ = 0;
};

}  // namespace warmset

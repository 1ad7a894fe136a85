// How much memory there is for Warmset to use.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "base/strong.h"
#include "os/unique_fd.h"

namespace warmset::os {

// MemAvailable of /proc/meminfo.
StatusOr<ByteCount> AvailableMemory();
// A field of /proc/meminfo, such as "MemTotal", in bytes.
StatusOr<ByteCount> MeminfoField(std::string_view name);
// How many processes the kernel has killed for lack of memory since the machine
// started; 0 where it can't be known.
uint64_t OomKills();

// A descriptor that has EPOLLPRI when tasks waited for memory for a tenth of two
// seconds (Linux's pressure stall information; shorter windows are for root alone).
// kIoError, kFileNotFound or kPermissionDenied where there is no such thing.
StatusOr<UniqueFd> WatchMemoryStalls();

// This process's RssAnon: what it uses itself, shared memory left out. Zero when
// it can't be read.
ByteCount ResidentAnonymousMemory();

// Gives memory back to the system that the allocator keeps for later.
void ReturnFreeMemory();

// The most memory that this program has had resident at once. Unlike ru_maxrss, which
// survives execve(), it begins with the program: a helper does not count what the
// process that started it had. Not thread-safe.
class PeakMemory {
 public:
  // In a sandbox that opens nothing by name: call before it is entered.
  static PeakMemory Open();
  // Zero when it can't be read.
  ByteCount bytes() const;

 private:
  explicit PeakMemory(UniqueFd status) : status_(std::move(status)) {}

  UniqueFd status_;  // /proc/self/status
};

// The memory of entries (EntryMemoryName) that other processes still map and
// that no descriptor of this process refers to: what clients of an earlier
// daemon keep. Processes that may not be looked at are left out.
ByteCount ForeignEntryMemory();

}  // namespace warmset::os

// Backing memory files with huge pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>

#include "base/status.h"
#include "os/mapping.h"

namespace warmset::os {

inline constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;

// Gives every page of a range of a shared memfd mapping its memory, in huge
// pages where the kernel can (MADV_COLLAPSE, Linux 6.1; the system's
// shmem_enabled does not matter), else in small ones. The content stays as it
// is. Never fails: what could not be had now is had at the first access. Not
// for a range that another thread touches too.
// REQUIRES: the range starts at a multiple of kHugePageBytes.
void TouchMemory(std::span<std::byte> range);

// The same for memory of a filesystem that can be full: every page is there when it
// returns OK, so that no access faults. kIoError when there is no room, kCancelled after
// a stop; then some of it may be there. Needs Linux 5.14.
Status AllocateMemory(std::span<std::byte> range, const std::stop_token& stop);

// How much of the mapping this process has in huge pages now, as the kernel
// counts it (PAGEMAP_SCAN, before Linux 6.7 ShmemPmdMapped and FilePmdMapped in
// /proc/self/smaps); 0 when it can't be known. Pages that were not accessed
// through the mapping don't count.
uint64_t HugePageBytes(const Mapping& mapping);

}  // namespace warmset::os

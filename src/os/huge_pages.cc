#include "os/huge_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <sstream>
#include <string>

#include "base/strong.h"
#include "os/fault.h"
#include "os/file.h"

// Debian 12's C library is older than these.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace warmset::os {
namespace {

// One call costs a drain of every CPU's page lists, so a few pages share it.
constexpr uint64_t kCollapseBytes = 4 * kHugePageBytes;
constexpr uint64_t kSmallPageBytes = 4 * kKiB;

bool Advise(std::span<std::byte> range, int advice, const char* name) {
  if (InjectedFault(name) != 0) return false;
  while (::madvise(range.data(), range.size(), advice) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

// A write that changes nothing makes the kernel allocate the page.
void TouchEvery(std::span<std::byte> range, uint64_t step) {
  for (uint64_t at = 0; at < range.size(); at += step) {
    volatile std::byte& byte = range[at];
    byte = static_cast<std::byte>(byte);
  }
}

void TouchSmallPages(std::span<std::byte> range) {
  if (!Advise(range, MADV_POPULATE_WRITE, "madvise_populate")) TouchEvery(range, kSmallPageBytes);
}

}  // namespace

void TouchMemory(std::span<std::byte> range) {
  const uint64_t huge_bytes = AlignDown(range.size(), kHugePageBytes);
  const auto huge = range.first(huge_bytes);
  // Where shmem_enabled=advise, the first touch already gets a huge page.
  if (!huge.empty()) Advise(huge, MADV_HUGEPAGE, "madvise_huge");
  for (uint64_t at = 0; at < huge_bytes; at += kCollapseBytes) {
    const auto part = huge.subspan(at, std::min(kCollapseBytes, huge_bytes - at));
    TouchEvery(part, kHugePageBytes);  // a range that has no page at all can't be collapsed
    if (!Advise(part, MADV_COLLAPSE, "madvise_collapse")) TouchSmallPages(part);
  }
  const auto rest = range.subspan(huge_bytes);
  if (!rest.empty()) TouchSmallPages(rest);
}

uint64_t HugePageBytes(const Mapping& mapping) {
  const auto smaps = ReadSmallFile("/proc/self/smaps", 16 * kMiB);
  if (!smaps.ok()) return 0;
  const auto begin = reinterpret_cast<uintptr_t>(mapping.data());
  const uintptr_t end = begin + mapping.size();
  uint64_t bytes = 0;
  bool inside = false;  // advice can have split the mapping into several ranges
  std::istringstream lines(*smaps);
  for (std::string line; std::getline(lines, line);) {
    unsigned long long value = 0;
    if (std::sscanf(line.c_str(), "%llx-", &value) == 1 && line.find('-') < line.find(' ')) {
      inside = value >= begin && value < end;
    } else if (inside && (std::sscanf(line.c_str(), "ShmemPmdMapped: %llu", &value) == 1 ||
                          std::sscanf(line.c_str(), "FilePmdMapped: %llu", &value) == 1)) {
      bytes += value * kKiB;
    }
  }
  return bytes;
}

}  // namespace warmset::os

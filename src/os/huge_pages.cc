#include "os/huge_pages.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>
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

// 0, or why the kernel did not.
int AdviceError(std::span<std::byte> range, int advice, const char* name) {
  if (const int fault = InjectedFault(name)) return fault;
  while (::madvise(range.data(), range.size(), advice) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

bool Advise(std::span<std::byte> range, int advice, const char* name) {
  return AdviceError(range, advice, name) == 0;
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

// Instead of the SIGBUS that an access would give.
Status Populate(std::span<std::byte> range) {
  const int error = AdviceError(range, MADV_POPULATE_WRITE, "madvise_populate");
  if (error == 0) return OkStatus();
  return ErrnoError(error == EFAULT ? ENOSPC : error, "get memory for a file");
}

// Linux 6.7's linux/fs.h has these; Debian 12's does not.
struct PageRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};
struct PageScan {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walk_end;  // out
  uint64_t regions;
  uint64_t regions_length;
  uint64_t max_pages;
  uint64_t category_inverted;
  uint64_t category_mask;
  uint64_t category_anyof_mask;
  uint64_t return_mask;
};
constexpr unsigned long kPagemapScan = _IOWR('f', 16, PageScan);
constexpr uint64_t kPageIsHuge = 1 << 6;

// Nothing where the kernel is too old to say.
std::optional<uint64_t> ScanHugePages(uintptr_t begin, uintptr_t end) {
  if (InjectedFault("pagemap_scan") != 0) return std::nullopt;
  const auto pagemap = OpenForRead("/proc/self/pagemap");
  if (!pagemap.ok()) return std::nullopt;
  uint64_t bytes = 0;
  std::array<PageRegion, 64> regions;
  PageScan scan{.size = sizeof scan,
                .flags = 0,
                .start = begin,
                .end = end,
                .walk_end = 0,
                .regions = reinterpret_cast<uintptr_t>(regions.data()),
                .regions_length = regions.size(),
                .max_pages = 0,
                .category_inverted = 0,
                .category_mask = kPageIsHuge,
                .category_anyof_mask = 0,
                .return_mask = kPageIsHuge};
  while (scan.start < end) {
    const int found = ::ioctl(pagemap->get(), kPagemapScan, &scan);
    if (found < 0) return std::nullopt;
    for (int i = 0; i < found; ++i) {
      bytes += regions[static_cast<size_t>(i)].end - regions[static_cast<size_t>(i)].start;
    }
    scan.start = scan.walk_end;
  }
  return bytes;
}

// What older kernels offer; they walk every small page of every mapping.
uint64_t HugePagesInSmaps(uintptr_t begin, uintptr_t end) {
  const auto smaps = ReadSmallFile("/proc/self/smaps", 16 * kMiB);
  if (!smaps.ok()) return 0;
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

Status AllocateMemory(std::span<std::byte> range, const std::stop_token& stop) {
  const uint64_t huge_bytes = AlignDown(range.size(), kHugePageBytes);
  if (huge_bytes > 0) Advise(range.first(huge_bytes), MADV_HUGEPAGE, "madvise_huge");
  for (uint64_t at = 0; at < huge_bytes; at += kCollapseBytes) {
    if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "the load was stopped");
    const auto part = range.subspan(at, std::min(kCollapseBytes, huge_bytes - at));
    for (uint64_t page = 0; page < part.size(); page += kHugePageBytes) {
      RETURN_IF_ERROR(Populate(part.subspan(page, kSmallPageBytes)));
    }
    if (!Advise(part, MADV_COLLAPSE, "madvise_collapse")) RETURN_IF_ERROR(Populate(part));
  }
  const auto rest = range.subspan(huge_bytes);
  return rest.empty() ? OkStatus() : Populate(rest);
}

uint64_t HugePageBytes(const Mapping& mapping) {
  const auto begin = reinterpret_cast<uintptr_t>(mapping.data());
  const uintptr_t end = begin + AlignUp(mapping.size(), kSmallPageBytes);
  const auto scanned = ScanHugePages(begin, end);
  return scanned ? *scanned : HugePagesInSmaps(begin, end);
}

}  // namespace warmset::os

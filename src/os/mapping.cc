#include "os/mapping.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "base/strong.h"
#include "fmt/format.h"
#include "os/fault.h"

namespace warmset::os {
namespace {
constexpr uint64_t kHugePage = 2 * kMiB;
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

StatusOr<Mapping> Mapping::Create(int fd, uint64_t bytes, Kind kind) {
  if (bytes == 0) return Mapping();
  const std::string action = fmt::format("map {} bytes", bytes);
  if (const int fault = InjectedFault("mmap")) return ErrnoError(fault, action);
  const int protection = kind == Kind::kSharedReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
  const int flags =
      kind == Kind::kPrivateReadWrite ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;

  // Reserve enough address space to choose a 2 MiB boundary inside it.
  const uint64_t reserved = AlignUp(bytes, 4 * kKiB) + kHugePage;
  void* area = ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                      -1, 0);
  if (area == MAP_FAILED) return ErrnoError(errno, action);
  auto* start = static_cast<std::byte*>(area);
  auto* aligned = reinterpret_cast<std::byte*>(
      AlignUp(reinterpret_cast<uintptr_t>(start), kHugePage));
  if (::mmap(aligned, bytes, protection, flags | MAP_FIXED, fd, 0) == MAP_FAILED) {
    const int error = errno;
    ::munmap(area, reserved);
    return ErrnoError(error, action);
  }
  std::byte* end = aligned + AlignUp(bytes, 4 * kKiB);
  if (aligned > start) ::munmap(start, static_cast<size_t>(aligned - start));
  if (start + reserved > end) ::munmap(end, static_cast<size_t>(start + reserved - end));
  return Mapping(aligned, bytes);
}

}  // namespace warmset::os

#include "os/bulk_reader.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <random>

#include "base/strong.h"
#include "fmt/format.h"
#include "os/fault.h"
#include "os/file.h"

namespace warmset::os {
namespace {

constexpr uint64_t kDirectAlignment = 4 * kKiB;
constexpr int kSamples = 32;
constexpr unsigned kDiskDepth = 8;
constexpr unsigned kDiskThreads = 4;

// Looks at random places, because a look at an absent page makes the kernel
// read it: with fixed places the second look would always find them.
bool MostlyCached(int fd) {
  const auto identity = Identify(fd);
  if (!identity.ok() || identity->size == 0) return false;
  std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<uint64_t> place(0, identity->size - 1);
  for (int i = 0; i < kSamples; ++i) {
    if (InjectedFault("preadv2") != 0) return false;
    std::byte byte;
    const iovec buffer{.iov_base = &byte, .iov_len = 1};
    if (::preadv2(fd, &buffer, 1, static_cast<off_t>(place(random)), RWF_NOWAIT) != 1) return false;
  }
  return true;
}

}  // namespace

BulkFile BulkFile::Open(int fd, std::string name) {
  BulkFile file;
  file.fd_ = fd;
  file.name_ = std::move(name);
  file.cached_ = MostlyCached(fd);
  if (!file.cached_) {
    // Without it (no O_DIRECT here, or a file that only the client may open)
    // every read is buffered.
    if (auto direct = Reopen(fd, OpenMode::kDirect); direct.ok()) file.direct_ = *std::move(direct);
  }
  return file;
}

bool BlockProgress::NextIsDirect() const {
  return rest_.file->direct_.valid() && !refused_direct_ && rest_.offset % kDirectAlignment == 0 &&
         reinterpret_cast<uintptr_t>(rest_.destination.data()) % kDirectAlignment == 0 &&
         rest_.destination.size() >= kDirectAlignment;
}

BlockProgress::Step BlockProgress::Next() const {
  if (!NextIsDirect()) return {rest_.file->fd_, rest_.offset, rest_.destination};
  return {rest_.file->direct_.get(), rest_.offset,
          rest_.destination.first(AlignDown(rest_.destination.size(), kDirectAlignment))};
}

Status BlockProgress::Advance(int64_t result) {
  if (result == -EINTR || result == -EAGAIN) return OkStatus();
  if (result == -EINVAL && NextIsDirect()) {
    refused_direct_ = true;
    return OkStatus();
  }
  if (result < 0) {
    return ErrnoError(static_cast<int>(-result),
                      fmt::format("read {} at offset {}", rest_.file->name_, rest_.offset));
  }
  if (result == 0) {
    return Error(ErrorCode::kFileChanged,
                 fmt::format("{} ends at offset {} and was longer before: it was truncated; "
                             "restore it and try again",
                             rest_.file->name_, rest_.offset));
  }
  rest_.offset += static_cast<uint64_t>(result);
  rest_.destination = rest_.destination.subspan(static_cast<size_t>(result));
  return OkStatus();
}

Status BulkFile::Read(std::span<std::byte> destination, uint64_t offset) const {
  BlockProgress progress({.file = this, .offset = offset, .destination = destination});
  while (!progress.complete()) {
    const BlockProgress::Step step = progress.Next();
    int64_t result = -InjectedFault("pread");
    if (result == 0) {
      result = ::pread(step.fd, step.destination.data(), step.destination.size(),
                       static_cast<off_t>(step.offset));
      if (result < 0) result = -errno;
    }
    RETURN_IF_ERROR(progress.Advance(result));
  }
  return OkStatus();
}

std::unique_ptr<BulkReader> MakeDiskReader() {
  auto uring = MakeUringReader(kDiskDepth);
  return uring.ok() ? *std::move(uring) : MakePreadReader(kDiskThreads);
}

}  // namespace warmset::os

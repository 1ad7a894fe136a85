#include "os/bulk_reader.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <random>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "os/fault.h"
#include "os/file.h"

namespace warmset::os {
namespace {

constexpr uint64_t kDirectAlignment = 4 * kKiB;
constexpr int kSamples = 32;

// Looks at random places, because a look at an absent page makes the kernel
// read it: with fixed places the second look would always find them.
bool IsCached(int fd) {
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

// Offset, address and length of a direct read are multiples of this.
bool IsAligned(uint64_t offset, std::span<std::byte> destination) {
  return offset % kDirectAlignment == 0 && destination.size() >= kDirectAlignment &&
         reinterpret_cast<uintptr_t>(destination.data()) % kDirectAlignment == 0;
}

// Bytes read, or -errno.
ssize_t ReadOnce(int fd, std::span<std::byte> destination, uint64_t offset) {
  if (const int fault = InjectedFault("pread")) return -fault;
  const ssize_t got =
      ::pread(fd, destination.data(), destination.size(), static_cast<off_t>(offset));
  return got < 0 ? -errno : got;
}

}  // namespace

BulkFile BulkFile::Open(int fd, std::string name) {
  BulkFile file;
  file.fd_ = fd;
  file.name_ = std::move(name);
  if (!IsCached(fd)) {
    // Fails where there is no O_DIRECT, or only a client may open the file.
    if (auto direct = Reopen(fd, OpenMode::kDirect); direct.ok()) file.direct_ = *std::move(direct);
  }
  return file;
}

Status BulkFile::Read(std::span<std::byte> destination, uint64_t offset) const {
  bool try_direct = direct_.valid();
  while (!destination.empty()) {
    const bool direct = try_direct && IsAligned(offset, destination);
    const size_t bytes =
        direct ? AlignDown(destination.size(), kDirectAlignment) : destination.size();
    const ssize_t got = ReadOnce(direct ? direct_.get() : fd_, destination.first(bytes), offset);
    if (got == -EINTR) continue;
    if (got == -EINVAL && direct) {
      try_direct = false;  // some file systems open with O_DIRECT and then refuse it
      continue;
    }
    if (got < 0) {
      return AtOffset(
          ErrnoError(static_cast<int>(-got), fmt::format("read {} at offset {}", name_, offset)),
          offset);
    }
    if (got == 0) {
      return Error(ErrorCode::kFileChanged,
                   fmt::format("{} ends at offset {} and was longer before: it was truncated; "
                               "restore it and try again",
                               name_, offset));
    }
    offset += static_cast<uint64_t>(got);
    destination = destination.subspan(static_cast<size_t>(got));
  }
  return OkStatus();
}

namespace {

// What the threads of one bulk read share: each takes the next block.
class SharedRead {
 public:
  explicit SharedRead(const BulkRead& read) : read_(read) {}

  void Work() {
    while (!failed_.load(std::memory_order_relaxed)) {
      const size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= read_.blocks.size()) return;
      if (const Status status = ReadOne(index); !status.ok()) Fail(status);
    }
  }

  Status status() {
    absl::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  Status ReadOne(size_t index) {
    if (read_.stop.stop_requested()) return Error(ErrorCode::kCancelled, "the read was stopped");
    if (read_.before) read_.before(index);
    const ReadBlock& block = read_.blocks[index];
    RETURN_IF_ERROR(block.file->Read(block.destination, block.offset));
    if (read_.done) read_.done(index);
    return OkStatus();
  }

  void Fail(const Status& status) {
    absl::MutexLock lock(&mutex_);
    if (status_.ok()) status_ = status;
    failed_.store(true, std::memory_order_relaxed);
  }

  const BulkRead& read_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  absl::Mutex mutex_;
  Status status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

Status ReadInBulk(const BulkRead& read) {
  SharedRead shared(read);
  {
    std::vector<std::jthread> helpers;  // joined at the end of this block
    const size_t wanted = std::min<size_t>(kBulkReadThreads, read.blocks.size());
    try {
      while (helpers.size() + 1 < wanted) helpers.emplace_back([&shared] { shared.Work(); });
    } catch (const std::system_error&) {
      // This thread and those that there are do it.
    }
    shared.Work();
  }
  return shared.status();
}

}  // namespace warmset::os

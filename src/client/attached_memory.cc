#include "client/attached_memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <optional>

#include "client/errors.h"

namespace warmset::inline client_v1::client_internal {
namespace {

constexpr uint64_t kHugePageBytes = 2 * 1024 * 1024;
constexpr uint64_t kMaxIndexBytes = uint64_t{1} << 30;

// Where the last range that is gone lay; null when that is taken. Mapping there again
// costs a third of reserving address space and mapping over a part of it.
std::atomic<std::byte*> left_place = nullptr;

uint64_t PageBytes() { return static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)); }

// Bytes of sealed memory, which can't change, and the file not end before them;
// nothing for any other descriptor.
std::optional<uint64_t> SealedBytes(int fd) {
  struct stat found{};
  if (::fstat(fd, &found) != 0) return std::nullopt;
  const int seals = ::fcntl(fd, F_GET_SEALS);
  const bool sealed = seals >= 0 && (seals & F_SEAL_SHRINK) != 0 &&
                      (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
  return sealed ? std::optional(static_cast<uint64_t>(found.st_size)) : std::nullopt;
}

// The same, also of a guarded file: one on tmpfs that nobody may write and that this
// descriptor can't. The daemon withdraws it from whoever does so nevertheless.
std::optional<uint64_t> ReadOnlyBytes(int fd) {
  if (const auto sealed = SealedBytes(fd)) return sealed;
  struct stat found{};
  struct statfs filesystem{};
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fstat(fd, &found) != 0 || ::fstatfs(fd, &filesystem) != 0) {
    return std::nullopt;
  }
  constexpr mode_t kWrite = S_IWUSR | S_IWGRP | S_IWOTH;
  const bool guarded = (flags & O_ACCMODE) == O_RDONLY && S_ISREG(found.st_mode) &&
                       (found.st_mode & kWrite) == 0 && filesystem.f_type == TMPFS_MAGIC;
  return guarded ? std::optional(static_cast<uint64_t>(found.st_size)) : std::nullopt;
}

Result<std::vector<std::byte>> ReadIndex(int fd) {
  const std::optional<uint64_t> bytes = SealedBytes(fd);
  if (!bytes || *bytes > kMaxIndexBytes) {
    return BadReply("the tensor index is no sealed memory");
  }
  std::vector<std::byte> blob(static_cast<size_t>(*bytes));
  for (size_t done = 0; done < blob.size();) {
    const ssize_t got =
        ::pread(fd, blob.data() + done, blob.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ErrnoError(got == 0 ? EIO : errno, "read the tensor index");
    done += static_cast<size_t>(got);
  }
  return blob;
}

}  // namespace

MappedRange::~MappedRange() {
  if (reserved_bytes_ == 0) return;
  ::munmap(reserved_, reserved_bytes_);
  left_place = data_;
}

bool MappedRange::MapAtLeftPlace(const Part& part, int protection) {
  std::byte* const place = left_place.exchange(nullptr);
  if (place == nullptr) return false;
  void* const mapped = ::mmap(place, part.bytes, protection,
                              MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE, part.fd, 0);
  if (mapped == MAP_FAILED) return false;  // something else lies there by now
  if (mapped != place) {                   // an old kernel takes the place for a hint
    ::munmap(mapped, part.bytes);
    return false;
  }
  reserved_ = place;
  reserved_bytes_ = part.bytes;
  data_ = place;
  size_ = part.bytes;
  return true;
}

Result<MappedRange> MappedRange::Create(std::span<const Part> parts, bool writable) {
  const uint64_t page = PageBytes();
  uint64_t total = 0;
  for (const Part& part : parts) {
    const std::optional<uint64_t> bytes = ReadOnlyBytes(part.fd);
    if (!bytes || *bytes < part.bytes) {
      return BadReply("a part of the memory could change or end early");
    }
    // All but the last must end where the next can be mapped.
    if (total % page != 0) return BadReply("a part of the memory is not made of whole pages");
    if (__builtin_add_overflow(total, part.bytes, &total) || total > uint64_t{1} << 46) {
      return BadReply("more memory than there are addresses");
    }
  }
  if (total == 0) return MappedRange();

  MappedRange range;
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  if (parts.size() == 1 && range.MapAtLeftPlace(parts[0], protection)) return range;
  const uint64_t reserved = (total + page - 1) / page * page + kHugePageBytes;
  void* const start =
      ::mmap(nullptr, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) {
    return ErrnoError(errno, "reserve " + std::to_string(reserved) + " bytes of address space");
  }
  range.reserved_ = start;
  range.reserved_bytes_ = reserved;
  // What is left over before and after stays without access, and costs nothing.
  range.data_ =
      static_cast<std::byte*>(start) + -reinterpret_cast<uintptr_t>(start) % kHugePageBytes;
  range.size_ = total;
  std::byte* at = range.data_;
  for (const Part& part : parts) {
    if (part.bytes == 0) continue;
    if (::mmap(at, part.bytes, protection, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, part.fd, 0) ==
        MAP_FAILED) {
      return ErrnoError(errno, "map " + std::to_string(part.bytes) + " bytes");
    }
    at += part.bytes;
  }
  return range;
}

Result<std::vector<AttachedMemory::FileId>> AttachedMemory::CheckDescriptors(
    const AttachedComponent& component, const std::vector<OwnedFd>& fds) {
  if (component.index_fd >= fds.size()) return BadReply("no descriptor of the tensor index");
  std::vector<FileId> files;
  for (const AttachedComponent::Chunk& chunk : component.chunks) {
    struct stat found{};
    if (chunk.fd >= fds.size() || ::fstat(fds[chunk.fd].get(), &found) != 0) {
      return BadReply("no descriptor of a part of the memory");
    }
    files.emplace_back(found.st_dev, found.st_ino);
  }
  return files;
}

Result<std::shared_ptr<AttachedMemory>> AttachedMemory::Create(AttachedComponent component,
                                                               std::vector<OwnedFd> fds,
                                                               Lease lease,
                                                               const AttachRequest& request,
                                                               bool writable) {
  auto files = CheckDescriptors(component, fds);
  if (!files) return std::move(files).error();
  std::vector<MappedRange::Part> parts;
  for (const AttachedComponent::Chunk& chunk : component.chunks) {
    parts.push_back({fds[chunk.fd].get(), chunk.bytes});
  }
  auto range = MappedRange::Create(parts, writable);
  if (!range) return std::move(range).error();
  if (component.bytes > range->size()) return BadReply("less memory than announced");
  auto index = ReadIndex(fds[component.index_fd].get());
  if (!index) return std::move(index).error();

  std::shared_ptr<AttachedMemory> memory(new AttachedMemory);
  if (auto error = memory->table_.Read(*std::move(index), component.bytes)) {
    return *std::move(error);
  }
  memory->range_ = *std::move(range);
  memory->files_ = *std::move(files);
  memory->lease_ = std::move(lease);
  memory->device_ = request.device;
  memory->tensors_ = request.tensors;
  memory->component_ = std::move(component);
  memory->writable_ = writable;
  return memory;
}

void AttachedMemory::RenewLease(const AttachedComponent& component, const std::vector<OwnedFd>& fds,
                                Lease lease) {
  const auto files = CheckDescriptors(component, fds);
  if (files && *files == files_) lease_ = std::move(lease);
}

AttachRequest AttachedMemory::again() const {
  AttachRequest request;
  request.model = component_.model;
  request.component = component_.component;
  request.device = device_;
  request.tensors = tensors_;
  return request;
}

}  // namespace warmset::inline client_v1::client_internal

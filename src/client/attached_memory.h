// The memory of one attached component, and the lease on it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/connection.h"
#include "client/messages.h"
#include "client/owned_fd.h"
#include "client/tensor_table.h"

namespace warmset::inline client_v1::client_internal {

// A range of mapped memory: descriptors laid one after another. Unmaps it when
// destroyed. Move-only.
class MappedRange {
 public:
  struct Part {
    int fd = -1;
    uint64_t bytes = 0;
  };

  MappedRange() = default;
  MappedRange(MappedRange&& other) noexcept { *this = std::move(other); }
  MappedRange& operator=(MappedRange&& other) noexcept {
    std::swap(reserved_, other.reserved_);
    std::swap(reserved_bytes_, other.reserved_bytes_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedRange();

  // Maps the parts privately (copy-on-write, or read-only) at an address that is
  // a multiple of 2 MiB. Refuses descriptors whose content could change or end
  // early, which would change the bytes under a tensor or kill the reader.
  static Result<MappedRange> Create(std::span<const Part> parts, bool writable);

  std::byte* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  // False, and nothing changed, where that place is not free.
  bool MapAtLeftPlace(const Part& part, int protection);

  // Address space that nothing else uses.
  void* reserved_ = nullptr;
  uint64_t reserved_bytes_ = 0;
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

// Immutable but for RenewLease(), so thread-safe.
class AttachedMemory {
 public:
  // Maps what an answer to Attach brought, nothing of which is trusted.
  static Result<std::shared_ptr<AttachedMemory>> Create(AttachedComponent component,
                                                        std::vector<OwnedFd> fds, Lease lease,
                                                        const AttachRequest& request,
                                                        bool writable);

  const std::string& component() const { return component_.component; }
  const std::string& type() const { return component_.type; }
  uint64_t bytes() const { return component_.bytes; }
  const TensorTable& table() const { return table_; }
  std::byte* data() const { return range_.data(); }
  bool writable() const { return writable_; }
  // Why the memory must not be used any more, where the daemon says so.
  std::optional<ClientError> Withdrawn() const { return lease_.End(); }

  // For a forked child, whose own session has attached the same again. The lease
  // is kept if the descriptors are those of this memory. Not thread-safe.
  void RenewLease(const AttachedComponent& component, const std::vector<OwnedFd>& fds, Lease lease);
  // How to ask for it again.
  AttachRequest again() const;

 private:
  // What tells a memory file from all others while it exists.
  using FileId = std::pair<dev_t, ino_t>;

  AttachedMemory() = default;
  static Result<std::vector<FileId>> CheckDescriptors(const AttachedComponent& component,
                                                      const std::vector<OwnedFd>& fds);

  // First, so that it ends last: after the memory is unmapped.
  Lease lease_;
  AttachedComponent component_;
  std::string device_;  // that was asked for
  std::vector<std::string> tensors_;
  std::vector<FileId> files_;  // of the chunks
  TensorTable table_;
  MappedRange range_;
  bool writable_ = false;
};

}  // namespace warmset::inline client_v1::client_internal

// Memory that other processes can map: a memfd.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "os/mapping.h"
#include "os/unique_fd.h"

namespace warmset::os {

// Every memfd that holds model data has this name, so that a daemon can find
// in /proc/*/maps what an earlier one left mapped in clients: "warmset-entry",
// and the process's tag, by which the daemons of one home know each other.
std::string EntryMemoryName();
// Call before the first entry and on one thread.
void SetEntryMemoryTag(std::string_view tag);

// A memfd and the owner's shared mapping of it. Created writable, then sealed
// once: from then on nobody (this process's mapping excepted, which Seal drops)
// can change, grow or shrink it. The pages live until the last descriptor and
// mapping in any process are gone. Move-only, not thread-safe.
class MemoryFile {
 public:
  MemoryFile() = default;

  // The file has `bytes` bytes, all zero and not yet backed by memory.
  static StatusOr<MemoryFile> Create(std::string_view name, uint64_t bytes);

  int fd() const { return fd_.get(); }
  uint64_t size() const { return size_; }
  bool sealed() const { return sealed_; }
  // Read-write before Seal(), empty after it.
  const Mapping& writable() const { return writable_; }

  // Shrinks or grows an unsealed file; a new mapping replaces the old one.
  Status Resize(uint64_t bytes);
  // Drops the writable mapping and seals size and content. On failure the file
  // is as before and must not be handed out.
  Status Seal();

 private:
  UniqueFd fd_;
  uint64_t size_ = 0;
  bool sealed_ = false;
  Mapping writable_;
};

// A sealed memfd that holds a copy of content.
StatusOr<MemoryFile> MakeSealedFile(std::string_view name, std::span<const std::byte> content);

// The size of a memfd that its sender can no longer shrink, grow or write, so
// that reading a mapping of it can't fault. kInvalidRequest for any other file.
StatusOr<uint64_t> SealedSize(int fd);

}  // namespace warmset::os

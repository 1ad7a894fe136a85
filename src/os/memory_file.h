// Memory that other processes can map: a memfd, or a file on tmpfs that can have a name.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/status.h"
#include "os/file_lease.h"
#include "os/mapping.h"
#include "os/unique_fd.h"

namespace warmset::os {

// Every memfd that holds model data has this name, so that a daemon can find
// in /proc/*/maps what an earlier one left mapped in clients: "warmset-entry",
// and the process's tag, by which the daemons of one home know each other.
std::string EntryMemoryName();
// Call before the first entry and on one thread.
void SetEntryMemoryTag(std::string_view tag);

// A file in memory and the owner's shared mapping of it, which live until the last
// descriptor, name and mapping in any process are gone. Created writable, and made
// read-only once: then only this process's mapping could still change it, which Seal()
// drops. The kernel lets a file have seals or a name, not both:
// - a memfd is sealed: nobody can change, grow or shrink it, root included;
// - a file on tmpfs is guarded: its mode lets nobody write it, and a lease reports
//   whoever overrides that before a byte changes (FileLease).
// Move-only, not thread-safe.
class MemoryFile {
 public:
  MemoryFile() = default;

  // The file has `bytes` bytes, all zero and not yet backed by memory.
  static StatusOr<MemoryFile> Create(std::string_view name, uint64_t bytes);

  // A file on the tmpfs that the folder lies on, with memory for all of its bytes, which
  // are zero. It has no name until LinkFile() gives it one. kIoError when tmpfs has no
  // room, kCancelled after a stop.
  static StatusOr<MemoryFile> CreateOnTmpfs(const std::string& folder, uint64_t bytes,
                                            const std::stop_token& stop);
  // A guarded file that an earlier process named; its content is what it is. kInUse when
  // a program has it open for writing, kPermissionDenied unless it is this user's.
  static StatusOr<MemoryFile> Guard(const std::string& path);

  int fd() const { return fd_.get(); }
  uint64_t size() const { return size_; }
  bool sealed() const { return sealed_; }
  bool guarded() const { return lease_.taken(); }
  // Of a guarded file.
  const FileLease& lease() const { return lease_; }
  // Read-write before Seal(), empty after it.
  const Mapping& writable() const { return writable_; }

  // Shrinks or grows an unsealed file; a new mapping replaces the old one.
  Status Resize(uint64_t bytes);
  // Drops the writable mapping and seals, or guards, size and content; of a file that is
  // guarded already, does nothing. On failure the file must not be handed out.
  Status Seal();

 private:
  Status GuardFile();

  UniqueFd fd_;
  uint64_t size_ = 0;
  bool sealed_ = false;
  bool on_tmpfs_ = false;
  FileLease lease_;
  Mapping writable_;
};

// A sealed memfd that holds a copy of content.
StatusOr<MemoryFile> MakeSealedFile(std::string_view name, std::span<const std::byte> content);

// The size of a memfd that its sender can no longer shrink, grow or write, so
// that reading a mapping of it can't fault. kInvalidRequest for any other file.
StatusOr<uint64_t> SealedSize(int fd);
// The same, also of a guarded file: one on tmpfs that nobody may write and that this
// descriptor can't. kInvalidRequest for any other file.
StatusOr<uint64_t> ReadOnlySize(int fd);

}  // namespace warmset::os

// Reading much of files at the full speed of the disk, or of the page cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>

#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

// A file that is read past the page cache (O_DIRECT), unless it is there
// already or the file system can't. Immutable after Open, so thread-safe; the
// descriptor must stay open as long.
class BulkFile {
 public:
  // The name is for error messages.
  static BulkFile Open(int fd, std::string name);

  // Fills the destination; blocks. kFileChanged, with the offset, when the file
  // ends before that: whoever knew its size knew a longer one.
  Status Read(std::span<std::byte> destination, uint64_t offset) const;

 private:
  BulkFile() = default;

  int fd_ = -1;
  UniqueFd direct_;  // of the same file; none: every read is buffered
  std::string name_;
};

struct ReadBlock {
  const BulkFile* file = nullptr;
  uint64_t offset = 0;  // in the file
  std::span<std::byte> destination;
};

// So many blocks of about 1 MiB keep a fast disk busy. The threads that read
// them also do what follows on each, so they are more than it takes: while some
// compute, the others' reads are under way.
inline constexpr unsigned kBulkReadThreads = 12;

struct BulkRead {
  std::span<const ReadBlock> blocks;  // begun in this order
  // Called with a block's index on the thread that reads it, before and after;
  // at the same time for different blocks. Either may be empty. `before` may
  // wait until the destination is ready.
  std::function<void(size_t block)> before;
  std::function<void(size_t block)> done;
  std::stop_token stop;
};

// Reads all blocks. After an error (BulkFile::Read's, or kCancelled after a
// stop) no more is begun; it returns when nothing is under way any more, and
// the content of the destinations is undefined. Uses fewer threads than
// kBulkReadThreads when the system has no more.
Status ReadInBulk(const BulkRead& read);

}  // namespace warmset::os

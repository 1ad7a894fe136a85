// Reading much of files at the full speed of the disk, or of the page cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>

#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

class BlockProgress;

// A file that bulk readers read past the page cache (O_DIRECT), unless it is
// there already or the file system can't. Immutable after Open, so thread-safe;
// the descriptor must stay open as long.
class BulkFile {
 public:
  // The name is for error messages.
  static BulkFile Open(int fd, std::string name);

  const std::string& name() const { return name_; }
  // All of a few random pages were in the page cache.
  bool cached() const { return cached_; }

  // Reads exactly; blocks. kFileChanged when the file ends before that.
  Status Read(std::span<std::byte> destination, uint64_t offset) const;

 private:
  friend class BlockProgress;
  BulkFile() = default;

  int fd_ = -1;
  UniqueFd direct_;
  bool cached_ = false;
  std::string name_;
};

struct ReadBlock {
  const BulkFile* file = nullptr;
  uint64_t offset = 0;  // in the file
  std::span<std::byte> destination;
};

// The steps in which one block is read, whatever carries them out: direct reads
// need offset, address and length in multiples of 4 KiB, so the end of a file is
// a step of its own; a short read, or a file system that refuses a direct one,
// is followed by a step for the rest. Not thread-safe.
class BlockProgress {
 public:
  struct Step {
    int fd = -1;
    uint64_t offset = 0;
    std::span<std::byte> destination;
  };

  BlockProgress() = default;
  explicit BlockProgress(const ReadBlock& block) : rest_(block) {}

  bool complete() const { return rest_.destination.empty(); }
  // REQUIRES: !complete().
  Step Next() const;
  // Takes what pread or io_uring gave for Next(): bytes read, or -errno. OK when
  // the block is complete or there is a next step.
  Status Advance(int64_t result);

 private:
  bool NextIsDirect() const;

  ReadBlock rest_;
  bool refused_direct_ = false;
};

// One bulk read. The functions may be called on any thread of the reader, at
// the same time for different blocks; the disk does not wait for them.
struct BulkRead {
  std::span<const ReadBlock> blocks;
  // Called before a block is read; may wait for its destination to be ready.
  std::function<void(size_t block)> before;
  // Called when a block was read, in the order of completion.
  std::function<void(size_t block)> done;
  std::stop_token stop;
};

class BulkReader {
 public:
  virtual ~BulkReader() = default;

  // Returns when every block was read and done() has returned for it, or after
  // the first error: kFileChanged names the offset where the file ends, kIoError,
  // kCancelled after a stop. Then no read is under way any more and the content
  // of the destinations is undefined. One Read() at a time.
  virtual Status Read(const BulkRead& read) = 0;
};

// Threads that read a block each: for what the page cache has.
std::unique_ptr<BulkReader> MakePreadReader(unsigned threads);
// io_uring with `depth` reads under way; an error where it can't be used
// (seccomp, a sysctl, an old kernel), found out by using it.
StatusOr<std::unique_ptr<BulkReader>> MakeUringReader(unsigned depth);
// io_uring where it works, else threads: for what has to come from the disk.
std::unique_ptr<BulkReader> MakeDiskReader();

}  // namespace warmset::os

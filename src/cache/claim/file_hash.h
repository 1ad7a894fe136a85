// One file's content hash, taken from RAM where its bytes are there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "cache/source_file.h"

namespace warmset {

// A stretch of the file that an entry holds.
struct ResidentRun {
  uint64_t file_offset = 0;
  uint64_t bytes = 0;
  uint64_t entry_offset = 0;
  int data_fd = -1;  // of the entry
};

// Entries' memory that a hash is taken from, until its owner wants it back. Thread-safe.
class ResidentRuns {
 public:
  explicit ResidentRuns(std::vector<ResidentRun> runs);

  // After it no entry is read any more: what is left comes from the disk. Waits for one
  // read of a piece (microseconds) at most.
  void Withdraw();

  // Fills the buffer with bytes of the file from `offset` on, as many as one entry has.
  // 0: no entry has that byte, and the next that one has, or the file's end, is
  // `resident_from`.
  StatusOr<uint64_t> Read(uint64_t offset, std::span<std::byte> buffer, uint64_t* resident_from);

 private:
  absl::Mutex mutex_;
  std::vector<ResidentRun> runs_ ABSL_GUARDED_BY(mutex_);  // by offset in the file
};

// The hash of the file's content in the algorithm of `claim`. What RAM does not hold is
// read from the file, whose identity is checked before and after. Blocks; for a thread
// that may. kFileChanged when the file is not what `file.identity` says, kFileNotFound,
// kIoError, kCancelled, and kInvalidRequest for a claim that can't be checked.
StatusOr<std::string> HashFile(std::string_view claim, const SourceFile& file,
                               ResidentRuns& resident, std::stop_token stop);

}  // namespace warmset

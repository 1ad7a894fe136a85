// Memory that is touched before it is needed.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/strong.h"
#include "cache/budget.h"
#include "os/memory_file.h"

namespace warmset {

// Memory that one load may fill: file is unsealed, all zero, touched, and was
// never given to another process; without a descriptor when the reserve had
// none. The reservation covers the entry and file.size(), whichever is larger.
struct LoadMemory {
  Reservation reservation;
  os::MemoryFile file;
};

// Keeps memfds with touched huge pages ready, because the first touch costs
// more than reading warm data into them does. Pieces halve in size from half
// the target on, so that loads of any size find one; a load resizes what it
// took. All of it is counted in the budget and given back as soon as the budget
// is wanted. It is filled up by its own thread, never while something loads.
// Thread-safe.
class MemoryReserve {
 public:
  // What a reserve should be when nothing is configured.
  static ByteCount DefaultTarget(ByteCount ram_limit);

  // A target below kSmallestPiece keeps nothing. The budget outlives the reserve.
  static constexpr ByteCount kSmallestPiece{32 * kMiB};
  MemoryReserve(Budget& budget, ByteCount target);
  ~MemoryReserve();
  MemoryReserve(const MemoryReserve&) = delete;
  MemoryReserve& operator=(const MemoryReserve&) = delete;

  // The smallest piece that holds so much, else the largest; its reservation is
  // for loading from now on. Without one, both members are empty. Does not block.
  LoadMemory Take(ByteCount bytes);

  // For tests and benchmarks: returns when the reserve is full, or holds as
  // much as the budget allows.
  void WaitUntilSettled();

 private:
  void Fill(std::stop_token stop);
  void GiveBack(ByteCount missing);
  // The largest piece that is not there; zero when none is missing.
  ByteCount MissingPiece() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Budget& budget_;
  const std::vector<ByteCount> sizes_;  // of the pieces, largest first

  std::atomic<bool> abandon_ = false;  // the piece that is being touched

  absl::Mutex mutex_;
  std::vector<LoadMemory> pieces_ ABSL_GUARDED_BY(mutex_);
  bool filling_ ABSL_GUARDED_BY(mutex_) = false;
  bool try_again_ ABSL_GUARDED_BY(mutex_) = true;

  std::jthread thread_;  // last: joined before the rest goes
};

}  // namespace warmset

// Memory that is touched before it is needed.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/strong.h"
#include "cache/budget.h"
#include "os/memory_file.h"

namespace warmset {

// Memory that one load may fill: the file is unsealed, all zero, touched, and
// was never given to another process; it has no descriptor when nothing was
// touched beforehand. The reservation covers the file and what will be loaded.
struct LoadMemory {
  Reservation reservation;
  os::MemoryFile file;
};

// Keeps memfds with touched huge pages ready, because the first touch costs
// more than reading warm data into them does. Pieces halve in size from half
// the target on, so that loads of any size find one; a load resizes what it
// took. Beside them there is one piece for the largest load that is usual, while
// at least twice as much is free. All of it is counted in the budget and given
// back as soon as the budget is wanted. It is filled up by its own thread, never
// while something loads. Thread-safe.
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
  // for loading from now on. Nothing when there is no piece, or only such that
  // would be wasted on so little. Does not block.
  std::optional<LoadMemory> Take(ByteCount bytes);

  // Something of that size was loaded from a disk: the largest of the last
  // kUsualLoads ones is what is usual. Nothing where the target keeps nothing.
  static constexpr size_t kUsualLoads = 8;
  void NoteLoad(ByteCount bytes);

  // Returns when the reserve is full, or has as much as the budget grants.
  void WaitUntilSettled();

 private:
  void Fill();
  // A piece of the largest size that is missing and that the budget grants.
  std::optional<LoadMemory> MakePiece();
  // False when the piece must be given up; waits while something loads.
  bool MayGoOn();
  void GiveBack(ByteCount missing);
  void OnBudgetChange();

  // Of all pieces there should be, in the order in which they are made.
  std::vector<ByteCount> WantedSizes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The sizes that no piece has, likewise.
  std::vector<ByteCount> MissingSizes() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsWanted(ByteCount size) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes out a piece of a size that is not wanted any more.
  std::optional<LoadMemory> PopUnwanted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ShouldFill() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The smallest piece of at least so much, else the largest.
  std::optional<LoadMemory> PopBestFit(ByteCount bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Budget& budget_;
  const std::vector<ByteCount> sizes_;  // of the pieces of the target, largest first

  absl::Mutex mutex_;
  std::deque<ByteCount> loads_ ABSL_GUARDED_BY(mutex_);  // the last ones
  std::vector<LoadMemory> pieces_ ABSL_GUARDED_BY(mutex_);
  bool filling_ ABSL_GUARDED_BY(mutex_) = false;
  bool abandon_ ABSL_GUARDED_BY(mutex_) = false;  // the piece that is being filled
  uint64_t begun_ ABSL_GUARDED_BY(mutex_) = 0;    // pieces, made or not
  bool changed_ ABSL_GUARDED_BY(mutex_) = true;   // the budget may grant more than before
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace warmset

// How much RAM Warmset may use, and what uses it now.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "base/strong.h"

namespace warmset {

// What reserved memory is used for.
enum class MemoryKind : uint8_t {
  kEntries,  // published entries
  kLoading,  // entries being filled
  kReserve,  // touched memory kept for the next load
  kDropped,  // entries that nobody can attach to any more, but leases still map
  kCompressed,  // compressed entries
};

struct BudgetUse {
  ByteCount limit;
  ByteCount entries;
  ByteCount loading;
  ByteCount reserve;
  ByteCount orphaned;  // what clients of an earlier daemon still map
  ByteCount dropped;
  ByteCount compressed;

  ByteCount total() const {
    return entries + loading + reserve + orphaned + dropped + compressed;
  }
  // Zero when the limit was lowered below what is used.
  ByteCount free() const { return total() < limit ? limit - total() : ByteCount(0); }
};

class Reservation;

// Grants reservations so that their sum never exceeds the limit. Only lowering
// the limit or raising the orphaned memory can bring the use above it; then
// nothing more is granted until enough is released. Thread-safe; must outlive
// its reservations.
class Budget {
 public:
  explicit Budget(ByteCount limit) : limit_(limit) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  // kRamLimitExceeded says how much was wanted and how much is free. Before
  // failing, asks the reserve to give back memory, unless it is for the reserve.
  StatusOr<Reservation> Reserve(MemoryKind kind, ByteCount bytes);

  BudgetUse Use() const;
  void SetLimit(ByteCount limit);
  void SetOrphaned(ByteCount bytes);

  // How the memory reserve takes part; see MemoryReserve.
  struct ReserveHooks {
    // Releases at least that much of MemoryKind::kReserve, or all of it.
    std::function<void(ByteCount missing)> give_back;
    // Something was released, or is no longer loading.
    std::function<void()> changed;
  };
  // Both are called without a lock, on any thread that uses the budget. Set them
  // while no other thread does; empty ones detach.
  void SetReserveHooks(ReserveHooks hooks);

 private:
  friend class Reservation;
  void GiveBackExcess();
  Status Take(MemoryKind kind, ByteCount bytes);
  bool TryTake(MemoryKind kind, ByteCount bytes);
  void Return(MemoryKind kind, ByteCount bytes);
  void Move(MemoryKind from, MemoryKind to, ByteCount bytes);
  BudgetUse UseLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ReserveHooks hooks_;  // set while nothing else runs

  mutable absl::Mutex mutex_;
  ByteCount limit_ ABSL_GUARDED_BY(mutex_);
  ByteCount orphaned_ ABSL_GUARDED_BY(mutex_);
  std::array<ByteCount, 5> used_ ABSL_GUARDED_BY(mutex_);  // by MemoryKind
  // Claims that wait for the reserve to give back: it gets nothing meanwhile.
  int claims_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A part of the budget, given back when it is destroyed. Destroy it after the
// memory that it stands for. Move-only; one reservation is used by one thread
// at a time.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { Release(); }

  MemoryKind kind() const { return kind_; }
  ByteCount bytes() const { return bytes_; }

  void SetKind(MemoryKind kind);
  // On kRamLimitExceeded the reservation is as before.
  Status GrowTo(ByteCount bytes);
  // REQUIRES: bytes <= bytes().
  void ShrinkTo(ByteCount bytes);
  void Release();

 private:
  friend class Budget;
  Reservation(Budget* budget, MemoryKind kind, ByteCount bytes)
      : budget_(budget), kind_(kind), bytes_(bytes) {}

  Budget* budget_ = nullptr;
  MemoryKind kind_ = MemoryKind::kLoading;
  ByteCount bytes_;
};

}  // namespace warmset

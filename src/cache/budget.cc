#include "cache/budget.h"

#include <algorithm>
#include <utility>

#include "base/units.h"
#include "fmt/format.h"

namespace warmset {
namespace {

size_t Slot(MemoryKind kind) { return static_cast<size_t>(kind); }

Status LimitExceeded(ByteCount wanted, const BudgetUse& use) {
  const auto sizes = FormatSizes({wanted, use.free(), use.limit});
  return Error(ErrorCode::kRamLimitExceeded,
               fmt::format("{} of RAM are needed, {} of the limit of {} are free", sizes[0],
                           sizes[1], sizes[2]));
}

}  // namespace

StatusOr<Reservation> Budget::Reserve(MemoryKind kind, ByteCount bytes) {
  RETURN_IF_ERROR(Take(kind, bytes));
  return Reservation(this, kind, bytes);
}

BudgetUse Budget::Use() const {
  absl::MutexLock lock(&mutex_);
  return UseLocked();
}

BudgetUse Budget::UseLocked() const {
  return BudgetUse{
      .limit = limit_,
      .entries = used_[Slot(MemoryKind::kEntries)],
      .loading = used_[Slot(MemoryKind::kLoading)],
      .reserve = used_[Slot(MemoryKind::kReserve)],
      .orphaned = orphaned_,
      .dropped = used_[Slot(MemoryKind::kDropped)],
      .compressed = used_[Slot(MemoryKind::kCompressed)],
  };
}

void Budget::SetLimit(ByteCount limit) {
  {
    absl::MutexLock lock(&mutex_);
    limit_ = limit;
  }
  GiveBackExcess();
}

void Budget::SetOrphaned(ByteCount bytes) {
  {
    absl::MutexLock lock(&mutex_);
    orphaned_ = bytes;
  }
  GiveBackExcess();
}

void Budget::GiveBackExcess() {
  const BudgetUse use = Use();
  if (use.total() > use.limit && hooks_.give_back) hooks_.give_back(use.total() - use.limit);
  if (hooks_.changed) hooks_.changed();
}

void Budget::SetReserveHooks(ReserveHooks hooks) { hooks_ = std::move(hooks); }

Status Budget::Take(MemoryKind kind, ByteCount bytes) {
  if (TryTake(kind, bytes)) return OkStatus();
  if (kind == MemoryKind::kReserve || !hooks_.give_back) return LimitExceeded(bytes, Use());
  ByteCount missing;
  {
    absl::MutexLock lock(&mutex_);
    ++claims_;
    missing = bytes - std::min(bytes, UseLocked().free());
  }
  if (missing.value() > 0) hooks_.give_back(missing);
  const bool taken = TryTake(kind, bytes);
  {
    absl::MutexLock lock(&mutex_);
    --claims_;
  }
  hooks_.changed();
  return taken ? OkStatus() : LimitExceeded(bytes, Use());
}

bool Budget::TryTake(MemoryKind kind, ByteCount bytes) {
  absl::MutexLock lock(&mutex_);
  if (kind == MemoryKind::kReserve && claims_ > 0) return false;
  if (bytes > UseLocked().free()) return false;
  used_[Slot(kind)] += bytes;
  return true;
}

void Budget::Return(MemoryKind kind, ByteCount bytes) {
  {
    absl::MutexLock lock(&mutex_);
    used_[Slot(kind)] -= bytes;
  }
  if (hooks_.changed) hooks_.changed();
}

void Budget::Move(MemoryKind from, MemoryKind to, ByteCount bytes) {
  {
    absl::MutexLock lock(&mutex_);
    used_[Slot(from)] -= bytes;
    used_[Slot(to)] += bytes;
  }
  if (hooks_.changed) hooks_.changed();
}

Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)),
      kind_(other.kind_),
      bytes_(std::exchange(other.bytes_, ByteCount(0))) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Release();
    budget_ = std::exchange(other.budget_, nullptr);
    kind_ = other.kind_;
    bytes_ = std::exchange(other.bytes_, ByteCount(0));
  }
  return *this;
}

void Reservation::SetKind(MemoryKind kind) {
  if (budget_ != nullptr) budget_->Move(kind_, kind, bytes_);
  kind_ = kind;
}

Status Reservation::GrowTo(ByteCount bytes) {
  if (bytes <= bytes_) return OkStatus();
  RETURN_IF_ERROR(budget_->Take(kind_, bytes - bytes_));
  bytes_ = bytes;
  return OkStatus();
}

void Reservation::ShrinkTo(ByteCount bytes) {
  if (bytes == bytes_) return;
  const ByteCount surplus = bytes_ - bytes;
  bytes_ = bytes;
  budget_->Return(kind_, surplus);
}

void Reservation::Release() {
  if (Budget* budget = std::exchange(budget_, nullptr)) {
    budget->Return(kind_, std::exchange(bytes_, ByteCount(0)));
  }
}

}  // namespace warmset

#include "cache/reserve.h"

#include <algorithm>
#include <utility>

#include "os/huge_pages.h"

namespace warmset {
namespace {

// After so much it is seen whether somebody else wants the memory or the CPU.
constexpr uint64_t kTouchStep = 8 * kMiB;
// A piece is not spent on a load of less than this part of it.
constexpr uint64_t kLargestWaste = 4;

std::vector<ByteCount> PieceSizes(ByteCount target) {
  std::vector<ByteCount> sizes;
  const uint64_t smallest = MemoryReserve::kSmallestPiece.value();
  uint64_t left = target.value();
  while (left >= smallest) {
    const uint64_t piece = std::max(AlignDown(left / 2, os::kHugePageBytes), smallest);
    sizes.push_back(ByteCount(piece));
    left -= piece;
  }
  return sizes;
}

ByteCount SizeOf(const LoadMemory& piece) { return ByteCount(piece.file.size()); }

}  // namespace

ByteCount MemoryReserve::DefaultTarget(ByteCount ram_limit) {
  return std::min(ByteCount(2 * kGiB), ByteCount(ram_limit.value() / 8));
}

MemoryReserve::MemoryReserve(Budget& budget, ByteCount target)
    : budget_(budget), sizes_(PieceSizes(target)) {
  if (sizes_.empty()) return;
  budget_.SetReserveHooks({.give_back = [this](ByteCount missing) { GiveBack(missing); },
                           .changed = [this] { OnBudgetChange(); }});
  thread_ = std::thread([this] { Fill(); });
}

MemoryReserve::~MemoryReserve() {
  if (!thread_.joinable()) return;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
  budget_.SetReserveHooks({});
}

std::optional<LoadMemory> MemoryReserve::Take(ByteCount bytes) {
  std::optional<LoadMemory> piece;
  {
    absl::MutexLock lock(&mutex_);
    piece = PopBestFit(bytes);
    if (piece && SizeOf(*piece).value() / kLargestWaste > bytes.value()) {
      pieces_.push_back(*std::move(piece));
      return std::nullopt;
    }
    // Not before the piece counts as loading may its place be filled.
    if (piece) changed_ = false;
  }
  if (piece) piece->reservation.SetKind(MemoryKind::kLoading);
  return piece;
}

std::optional<LoadMemory> MemoryReserve::PopBestFit(ByteCount bytes) {
  auto best = pieces_.end();
  for (auto it = pieces_.begin(); it != pieces_.end(); ++it) {
    if (best == pieces_.end()) {
      best = it;
      continue;
    }
    const bool fits = SizeOf(*it) >= bytes;
    const bool best_fits = SizeOf(*best) >= bytes;
    const bool smaller = SizeOf(*it) < SizeOf(*best);
    if (fits != best_fits ? fits : fits == smaller) best = it;
  }
  if (best == pieces_.end()) return std::nullopt;
  std::optional<LoadMemory> piece(std::move(*best));
  pieces_.erase(best);
  return piece;
}

void MemoryReserve::GiveBack(ByteCount missing) {
  std::vector<LoadMemory> freed;  // outside the lock
  absl::MutexLock lock(&mutex_);
  while (missing.value() > 0) {
    std::optional<LoadMemory> piece = PopBestFit(missing);
    if (!piece) break;
    missing -= std::min(missing, SizeOf(*piece));
    freed.push_back(*std::move(piece));
  }
  if (missing.value() > 0 && filling_) {
    abandon_ = true;
    // The piece at hand alone: the next one may be begun before this thread runs again, and
    // it may wait for loads that wait for this thread.
    struct Wait {
      const MemoryReserve* reserve;
      uint64_t piece;
    } wait{this, begun_};
    mutex_.Await(absl::Condition(
        +[](Wait* each) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          return !each->reserve->filling_ || each->reserve->begun_ != each->piece;
        },
        &wait));
  }
}

void MemoryReserve::NoteLoad(ByteCount bytes) {
  if (sizes_.empty()) return;
  std::optional<LoadMemory> unwanted;  // freed outside the lock
  absl::MutexLock lock(&mutex_);
  loads_.push_back(bytes);
  if (loads_.size() > kUsualLoads) loads_.pop_front();
  unwanted = PopUnwanted();
  changed_ = true;
}

void MemoryReserve::OnBudgetChange() {
  absl::MutexLock lock(&mutex_);
  changed_ = true;
}

void MemoryReserve::WaitUntilSettled() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](MemoryReserve* self)
           ABSL_NO_THREAD_SAFETY_ANALYSIS { return !self->filling_ && !self->ShouldFill(); },
      this));
}

std::vector<ByteCount> MemoryReserve::WantedSizes() const {
  std::vector<ByteCount> wanted = sizes_;
  if (loads_.empty()) return wanted;
  const uint64_t usual = std::max_element(loads_.begin(), loads_.end())->value();
  const ByteCount piece(AlignUp(usual, os::kHugePageBytes));
  if (piece > wanted.front()) wanted.push_back(piece);
  return wanted;
}

std::vector<ByteCount> MemoryReserve::MissingSizes() const {
  std::vector<ByteCount> missing = WantedSizes();
  for (const LoadMemory& piece : pieces_) {
    const auto found = std::find(missing.begin(), missing.end(), SizeOf(piece));
    if (found != missing.end()) missing.erase(found);
  }
  return missing;
}

bool MemoryReserve::IsWanted(ByteCount size) const {
  const std::vector<ByteCount> wanted = WantedSizes();
  return std::find(wanted.begin(), wanted.end(), size) != wanted.end();
}

std::optional<LoadMemory> MemoryReserve::PopUnwanted() {
  const auto unwanted =
      std::find_if(pieces_.begin(), pieces_.end(),
                   [this](const LoadMemory& piece)
                       ABSL_NO_THREAD_SAFETY_ANALYSIS { return !IsWanted(SizeOf(piece)); });
  if (unwanted == pieces_.end()) return std::nullopt;
  std::optional<LoadMemory> piece(std::move(*unwanted));
  pieces_.erase(unwanted);
  return piece;
}

bool MemoryReserve::ShouldFill() const { return changed_ && !MissingSizes().empty(); }

void MemoryReserve::Fill() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(
          +[](MemoryReserve* self)
               ABSL_NO_THREAD_SAFETY_ANALYSIS { return self->stopping_ || self->ShouldFill(); },
          this));
      if (stopping_) return;
      filling_ = true;
      abandon_ = false;
      ++begun_;
    }
    std::optional<LoadMemory> piece = MakePiece();
    {
      absl::MutexLock lock(&mutex_);
      if (piece && !abandon_ && IsWanted(SizeOf(*piece))) {
        pieces_.push_back(*std::move(piece));
        piece.reset();
        changed_ = true;  // there may be room for the next one
        filling_ = false;
        continue;
      }
    }
    piece.reset();  // what somebody waits for must be free before it is told so
    absl::MutexLock lock(&mutex_);
    filling_ = false;
  }
}

bool MemoryReserve::MayGoOn() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_ || abandon_) return false;
      changed_ = false;
    }
    if (budget_.Use().loading.value() == 0) return true;
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](MemoryReserve* self) ABSL_NO_THREAD_SAFETY_ANALYSIS {
          return self->changed_ || self->stopping_ || self->abandon_;
        },
        this));
  }
}

std::optional<LoadMemory> MemoryReserve::MakePiece() {
  if (!MayGoOn()) return std::nullopt;
  std::vector<ByteCount> missing;
  {
    absl::MutexLock lock(&mutex_);
    missing = MissingSizes();
  }
  for (const ByteCount size : missing) {
    if (size > sizes_.front() && budget_.Use().free().value() / 2 < size.value()) continue;
    // The file first: were its failure to release a reservation, that change of
    // the budget would be tried at once, again and again.
    auto file = os::MemoryFile::Create(os::EntryMemoryName(), size.value());
    if (!file.ok()) return std::nullopt;
    if (budget_.Use().free() < size) continue;
    auto reservation = budget_.Reserve(MemoryKind::kReserve, ByteCount());
    if (!reservation.ok()) continue;
    std::optional<LoadMemory> piece({*std::move(reservation), *std::move(file)});
    const auto memory = piece->file.writable().span();
    for (uint64_t at = 0; at < memory.size(); at += kTouchStep) {
      if (!MayGoOn()) return std::nullopt;
      const uint64_t end = std::min<uint64_t>(at + kTouchStep, memory.size());
      // Step by step: what counts as used and is not taken yet would seem to be free beside.
      if (!piece->reservation.GrowTo(ByteCount(end)).ok()) return std::nullopt;
      os::TouchMemory(memory.subspan(at, end - at));
    }
    return piece;
  }
  return std::nullopt;
}

}  // namespace warmset

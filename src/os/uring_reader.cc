#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "os/bulk_reader.h"
#include "os/fault.h"

namespace warmset::os {
namespace {

// Owns an io_uring; nothing may be under way when it goes.
struct RingDeleter {
  void operator()(io_uring* ring) const {
    ::io_uring_queue_exit(ring);
    delete ring;
  }
};
using Ring = std::unique_ptr<io_uring, RingDeleter>;

StatusOr<Ring> MakeRing(unsigned depth) {
  auto ring = std::make_unique<io_uring>();
  int result = -InjectedFault("io_uring_setup");
  if (result == 0) result = ::io_uring_queue_init(depth, ring.get(), 0);
  if (result < 0) return ErrnoError(-result, "set up io_uring");
  return Ring(ring.release());
}

// Submits what was prepared and waits for a completion; 0 or -errno.
int SubmitAndWait(io_uring& ring) {
  if (const int fault = InjectedFault("io_uring_enter")) return -fault;
  const int result = ::io_uring_submit_and_wait(&ring, 1);
  return result == -EINTR || result == -EAGAIN || result == -EBUSY ? 0 : std::min(result, 0);
}

// Calls a function with indices on a thread of its own, in their order.
class CallThread {
 public:
  explicit CallThread(const std::function<void(size_t)>& call)
      : call_(call), thread_([this] { Work(); }) {}
  // Returns when all calls have returned.
  ~CallThread() {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
  }

  void Call(size_t index) {
    absl::MutexLock lock(&mutex_);
    waiting_.push_back(index);
  }

 private:
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return closing_ || !waiting_.empty();
  }

  void Work() {
    while (true) {
      std::vector<size_t> batch;
      {
        absl::MutexLock lock(&mutex_);
        mutex_.Await(absl::Condition(this, &CallThread::HasWork));
        if (waiting_.empty()) return;
        batch.swap(waiting_);
      }
      for (const size_t index : batch) call_(index);
    }
  }

  const std::function<void(size_t)>& call_;
  absl::Mutex mutex_;
  std::vector<size_t> waiting_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  std::jthread thread_;  // last: joined before the rest goes
};

// One Read(): keeps `depth` blocks under way until all are read or one failed.
class UringRead {
 public:
  UringRead(const BulkRead& read, io_uring& ring, unsigned depth)
      : read_(read), ring_(ring), slots_(depth), calls_(read.done) {
    for (Slot& slot : slots_) free_.push_back(&slot);
  }

  Status Run() {
    while (true) {
      if (read_.stop.stop_requested()) Fail(Error(ErrorCode::kCancelled, "the read was stopped"));
      while (status_.ok() && !free_.empty() && next_ < read_.blocks.size()) StartNext();
      if (free_.size() == slots_.size()) return status_;
      if (const int error = SubmitAndWait(ring_); error < 0) return Abandon(error);
      TakeCompletions();
    }
  }

 private:
  struct Slot {
    size_t index = 0;
    BlockProgress progress;
  };

  void StartNext() {
    if (read_.before) read_.before(next_);
    Slot* slot = free_.back();
    free_.pop_back();
    *slot = Slot{.index = next_, .progress = BlockProgress(read_.blocks[next_])};
    ++next_;
    Prepare(slot);
  }

  void Prepare(Slot* slot) {
    const BlockProgress::Step step = slot->progress.Next();
    // There is always one: as many entries as slots, each slot used once.
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_read(entry, step.fd, step.destination.data(),
                         static_cast<unsigned>(step.destination.size()), step.offset);
    ::io_uring_sqe_set_data(entry, slot);
  }

  void TakeCompletions() {
    io_uring_cqe* completion = nullptr;
    while (::io_uring_peek_cqe(&ring_, &completion) == 0) {
      auto* slot = static_cast<Slot*>(::io_uring_cqe_get_data(completion));
      const int fault = InjectedFault("io_uring_read");
      const int64_t result = fault != 0 ? -fault : completion->res;
      ::io_uring_cqe_seen(&ring_, completion);
      OnResult(slot, result);
    }
  }

  void OnResult(Slot* slot, int64_t result) {
    Fail(slot->progress.Advance(result));
    if (status_.ok() && !slot->progress.complete()) return Prepare(slot);
    if (status_.ok() && read_.done) calls_.Call(slot->index);
    free_.push_back(slot);
  }

  // The ring itself failed. What was submitted is waited for, so that nothing
  // writes into the destinations later; what was not is forgotten with the ring.
  Status Abandon(int error) {
    Fail(ErrnoError(-error, "read by io_uring"));
    io_uring_cqe* completion = nullptr;
    while (slots_.size() - free_.size() > ::io_uring_sq_ready(&ring_)) {
      if (::io_uring_wait_cqe(&ring_, &completion) != 0) break;
      free_.push_back(static_cast<Slot*>(::io_uring_cqe_get_data(completion)));
      ::io_uring_cqe_seen(&ring_, completion);
    }
    return status_;
  }

  void Fail(const Status& status) {
    if (status_.ok()) status_ = status;
  }

  const BulkRead& read_;
  io_uring& ring_;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_;
  size_t next_ = 0;
  Status status_;
  CallThread calls_;  // last: ended before the rest goes
};

class UringReader : public BulkReader {
 public:
  explicit UringReader(unsigned depth) : depth_(depth) {}

  Status Read(const BulkRead& read) override {
    ASSIGN_OR_RETURN(const Ring ring, MakeRing(depth_));
    return UringRead(read, *ring, depth_).Run();
  }

 private:
  const unsigned depth_;
};

// One request that does nothing: a ring that can be made may still be refused
// when it is used.
Status TryRing() {
  ASSIGN_OR_RETURN(const Ring ring, MakeRing(1));
  ::io_uring_prep_nop(::io_uring_get_sqe(ring.get()));
  const int result = SubmitAndWait(*ring);
  return result < 0 ? ErrnoError(-result, "use io_uring") : OkStatus();
}

}  // namespace

StatusOr<std::unique_ptr<BulkReader>> MakeUringReader(unsigned depth) {
  RETURN_IF_ERROR(TryRing());
  return std::make_unique<UringReader>(depth);
}

}  // namespace warmset::os

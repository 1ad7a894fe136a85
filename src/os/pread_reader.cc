#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "os/bulk_reader.h"

namespace warmset::os {
namespace {

class PreadReader : public BulkReader {
 public:
  explicit PreadReader(unsigned threads) : threads_(std::max(threads, 1U)) {}

  Status Read(const BulkRead& read) override;

 private:
  const unsigned threads_;
};

// What the threads of one Read() share.
class SharedRead {
 public:
  explicit SharedRead(const BulkRead& read) : read_(read) {}

  void Work() {
    while (!failed_.load(std::memory_order_relaxed)) {
      const size_t index = next_.fetch_add(1, std::memory_order_relaxed);
      if (index >= read_.blocks.size()) return;
      if (const Status status = ReadOne(index); !status.ok()) Fail(status);
    }
  }

  Status status() {
    absl::MutexLock lock(&mutex_);
    return status_;
  }

 private:
  Status ReadOne(size_t index) {
    if (read_.stop.stop_requested()) return Error(ErrorCode::kCancelled, "the read was stopped");
    if (read_.before) read_.before(index);
    const ReadBlock& block = read_.blocks[index];
    RETURN_IF_ERROR(block.file->Read(block.destination, block.offset));
    if (read_.done) read_.done(index);
    return OkStatus();
  }

  void Fail(const Status& status) {
    absl::MutexLock lock(&mutex_);
    if (status_.ok()) status_ = status;
    failed_.store(true, std::memory_order_relaxed);
  }

  const BulkRead& read_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  absl::Mutex mutex_;
  Status status_ ABSL_GUARDED_BY(mutex_);
};

Status PreadReader::Read(const BulkRead& read) {
  SharedRead shared(read);
  {
    std::vector<std::jthread> helpers;
    const size_t wanted = std::min<size_t>(threads_, read.blocks.size());
    for (size_t i = 1; i < wanted; ++i) helpers.emplace_back([&shared] { shared.Work(); });
    shared.Work();
  }
  return shared.status();
}

}  // namespace

std::unique_ptr<BulkReader> MakePreadReader(unsigned threads) {
  return std::make_unique<PreadReader>(threads);
}

}  // namespace warmset::os

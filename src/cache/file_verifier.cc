#include "cache/file_verifier.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cache/entry.h"
#include "os/mapping.h"

namespace warmset {
namespace {

struct alignas(4096) ChunkBuffer {
  std::byte bytes[kDigestChunkBytes];
};

// What the threads of one verification share: each takes the next chunk.
class Verification {
 public:
  Verification(const ComponentManifest& component, std::vector<SourceBlock> blocks,
               const std::stop_token& stop, std::atomic<uint64_t>* read_bytes)
      : component_(component),
        blocks_(std::move(blocks)),
        stop_(stop),
        read_bytes_(read_bytes),
        digests_((component.entry_bytes + kDigestChunkBytes - 1) / kDigestChunkBytes) {}

  void Work() {
    const auto buffer = std::make_unique<ChunkBuffer>();
    while (!failed_.load(std::memory_order_relaxed)) {
      const size_t chunk = next_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= digests_.size()) return;
      if (const Status status = DigestChunk(chunk, buffer->bytes); !status.ok()) Fail(status);
    }
  }

  // After every thread has returned from Work().
  StatusOr<std::vector<ChunkDigest>> Take() {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(status_);
    return std::move(digests_);
  }

 private:
  Status DigestChunk(size_t chunk, std::span<std::byte, kDigestChunkBytes> buffer) {
    if (stop_.stop_requested()) return Error(ErrorCode::kCancelled, "the check was stopped");
    const uint64_t begin = chunk * kDigestChunkBytes;
    const auto data = buffer.first(std::min(kDigestChunkBytes, component_.entry_bytes - begin));
    uint64_t filled = 0;  // between the runs an entry is zero
    const auto fill_to = [&](uint64_t end) {
      if (end > filled) std::memset(data.data() + filled, 0, end - filled);
    };
    auto block = std::lower_bound(
        blocks_.begin(), blocks_.end(), begin,
        [](const SourceBlock& a, uint64_t offset) { return a.entry_offset < offset; });
    for (; block != blocks_.end() && block->chunk() == chunk; ++block) {
      const uint64_t at = block->entry_offset - begin;
      fill_to(at);
      RETURN_IF_ERROR(block->file->Read(data.subspan(at, block->bytes), block->file_offset));
      filled = at + block->bytes;
    }
    fill_to(data.size());
    digests_[chunk] = DigestOf<ChunkDigest>(data);
    if (read_bytes_ != nullptr) *read_bytes_ += data.size();
    return OkStatus();
  }

  void Fail(const Status& status) {
    absl::MutexLock lock(&mutex_);
    if (status_.ok()) status_ = status;
    failed_.store(true, std::memory_order_relaxed);
  }

  const ComponentManifest& component_;
  const std::vector<SourceBlock> blocks_;
  const std::stop_token& stop_;
  std::atomic<uint64_t>* const read_bytes_;
  std::vector<ChunkDigest> digests_;  // each element by one thread
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  absl::Mutex mutex_;
  Status status_ ABSL_GUARDED_BY(mutex_);
};

StatusOr<std::vector<ChunkDigest>> DigestFiles(const ComponentManifest& component,
                                               const OpenSources& sources,
                                               const std::stop_token& stop,
                                               std::atomic<uint64_t>* read_bytes) {
  ASSIGN_OR_RETURN(std::vector<SourceBlock> blocks, sources.Blocks(component));
  Verification verification(component, std::move(blocks), stop, read_bytes);
  try {
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < os::kBulkReadThreads; ++i) helpers.emplace_back([&] { verification.Work(); });
    verification.Work();
  } catch (const std::system_error& error) {  // no more threads
    return ErrnoError(error.code().value(), "start a thread");
  }
  return verification.Take();
}

}  // namespace

Status VerifyFiles(const ComponentManifest& component, std::span<const SourceFile> files,
                   std::span<const ChunkDigest> known_digests, std::stop_token stop,
                   std::atomic<uint64_t>* read_bytes) {
  ASSIGN_OR_RETURN(const OpenSources sources,
                   OpenSources::Open(component, files, /*digests_known=*/true));
  ASSIGN_OR_RETURN(const std::vector<ChunkDigest> chunks,
                   DigestFiles(component, sources, stop, read_bytes));
  RETURN_IF_ERROR(sources.CheckUnchanged());
  return CompareDigests(component, chunks, known_digests);
}

}  // namespace warmset

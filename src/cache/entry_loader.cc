#include "cache/entry_loader.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

#include "base/strong.h"
#include "cache/touch_ahead.h"
#include "fmt/format.h"
#include "os/bulk_reader.h"

namespace warmset {
namespace {

constexpr uint64_t kProgressStep = kMiB;  // so that a slow disk is not taken for a dead one

// Fills memory with blocks and hashes each chunk when its last block is there.
class Filling {
 public:
  Filling(std::span<std::byte> data, std::span<const SourceBlock> blocks,
          const std::function<void(uint64_t)>& progress)
      : data_(data),
        progress_(progress),
        digests_((data.size() + kDigestChunkBytes - 1) / kDigestChunkBytes),
        blocks_left_(digests_.size()) {
    for (const SourceBlock& block : blocks) ++blocks_left_[block.chunk()];
  }

  Status Read(std::span<const SourceBlock> blocks, TouchAhead& touched,
              const std::stop_token& stop) {
    std::vector<os::ReadBlock> reads;
    reads.reserve(blocks.size());
    for (const SourceBlock& block : blocks) {
      reads.push_back({.file = block.file,
                       .offset = block.file_offset,
                       .destination = data_.subspan(block.entry_offset, block.bytes)});
    }
    return os::ReadInBulk({
        .blocks = reads,
        .before = [&](size_t i) { touched.WaitFor(blocks[i].entry_offset + blocks[i].bytes); },
        .done = [&](size_t i) { OnRead(blocks[i]); },
        .stop = stop,
    });
  }

  // The digests of all chunks, those that no run touches included.
  // REQUIRES: every block was read.
  std::vector<ChunkDigest> TakeDigests() {
    for (size_t chunk = 0; chunk < digests_.size(); ++chunk) {
      if (digests_[chunk] == ChunkDigest{}) Hash(chunk);
    }
    return std::move(digests_);
  }

 private:
  void OnRead(const SourceBlock& block) {
    // Blocks of one chunk may come on different threads: the last one hashes.
    if (blocks_left_[block.chunk()].fetch_sub(1, std::memory_order_acq_rel) == 1) {
      Hash(block.chunk());
    }
    const uint64_t before = bytes_read_.fetch_add(block.bytes, std::memory_order_relaxed);
    const uint64_t now = before + block.bytes;
    if (progress_ && before / kProgressStep != now / kProgressStep) progress_(now);
  }

  void Hash(size_t chunk) {
    const uint64_t begin = chunk * kDigestChunkBytes;
    digests_[chunk] = DigestOf<ChunkDigest>(
        data_.subspan(begin, std::min(kDigestChunkBytes, data_.size() - begin)));
  }

  const std::span<std::byte> data_;
  const std::function<void(uint64_t)>& progress_;
  std::vector<ChunkDigest> digests_;
  std::vector<std::atomic<uint32_t>> blocks_left_;  // by chunk
  std::atomic<uint64_t> bytes_read_ = 0;
};

StatusOr<std::vector<ChunkDigest>> Fill(const LoadRequest& request, const OpenSources& sources,
                                        uint64_t touched_bytes) {
  ASSIGN_OR_RETURN(const std::vector<SourceBlock> blocks, sources.Blocks(request.component));
  const std::span<std::byte> data = request.memory.file.writable().span();
  Filling filling(data, blocks, request.progress);
  TouchAhead touched(data, touched_bytes);
  RETURN_IF_ERROR(filling.Read(blocks, touched, request.stop));
  return filling.TakeDigests();
}

StatusOr<std::unique_ptr<Entry>> Load(LoadRequest& request) {
  if (request.component.runs.empty() && request.component.entry_bytes > 0) {
    return Error(ErrorCode::kInternal, "it is not known where in which files its bytes lie");
  }
  const auto started = std::chrono::steady_clock::now();
  const bool digests_known = !request.known_digests.empty();
  ASSIGN_OR_RETURN(const OpenSources sources,
                   OpenSources::Open(request.component, request.files, digests_known));
  ASSIGN_OR_RETURN(const uint64_t touched, FitMemory(request.memory, request.component));
  ASSIGN_OR_RETURN(std::vector<ChunkDigest> chunks, Fill(request, sources, touched));
  RETURN_IF_ERROR(sources.CheckUnchanged());
  return FilledEntry{.component = request.component,
                     .memory = std::move(request.memory),
                     .chunks = std::move(chunks),
                     .load_time = std::chrono::steady_clock::now() - started}
      .VerifyAndSeal(request.known_digests);
}

}  // namespace

StatusOr<std::unique_ptr<Entry>> LoadEntry(LoadRequest request) {
  try {
    return Load(request);
  } catch (const std::system_error& error) {  // no more threads
    return ErrnoError(error.code().value(), "start a thread");
  }
}

}  // namespace warmset

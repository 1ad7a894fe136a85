// A component in RAM, losslessly compressed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "cache/budget.h"
#include "cache/entry.h"
#include "cache/reserve.h"
#include "codec/segmented_streams.h"
#include "inspect/manifest.h"
#include "os/mapping.h"
#include "os/memory_file.h"
#include "os/unique_fd.h"
#include "tensor/dtype.h"

namespace warmset {

// The bytes of a raw entry as streams of codec/, cut at the borders of its tensors'
// types: each segment holds elements of one dtype, or bytes that belong to no
// tensor. Never handed out; clients get a raw entry that is decoded from it.
// Immutable, so thread-safe.
class CompressedEntry {
 public:
  // What elements of one dtype take.
  struct Share {
    uint64_t raw_bytes = 0;
    uint64_t compressed_bytes = 0;
  };

  // Compresses a published entry, and decodes and compares every segment before it
  // counts. The reservation grows with what is written, up to the memory that is
  // kept. kRamLimitExceeded when the budget grants no more, kCancelled, kIoError.
  // pause is called every few milliseconds, so that other work may go first.
  // Blocks; for a thread that may.
  static StatusOr<std::unique_ptr<CompressedEntry>> Make(
      const Entry& entry, Reservation reservation, const std::stop_token& stop,
      const std::function<void()>& pause = [] {});

  CompressedEntry(const CompressedEntry&) = delete;
  CompressedEntry& operator=(const CompressedEntry&) = delete;

  // What is needed to make a raw entry of it: id, size and index.
  const ComponentManifest& component() const { return component_; }
  uint64_t raw_bytes() const { return component_.entry_bytes; }
  uint64_t bytes() const { return memory_.size(); }
  // What it takes from the budget.
  ByteCount memory() const { return reservation_.bytes(); }
  const ContentDigest& content() const { return content_; }
  // What reading the raw entry from disk took.
  std::chrono::nanoseconds load_time() const { return load_time_; }
  const std::map<DType, Share>& shares() const { return shares_; }

  // The raw entry again: equal, byte for byte, to the one it was made of, for that
  // one's component or another with the same content. `memory` is reserved for
  // EntryMemory(component()). kCorruptedModel when its own memory is damaged,
  // kIoError. Blocks.
  StatusOr<std::unique_ptr<Entry>> Decode(const ComponentId& component, LoadMemory memory,
                                          unsigned threads) const;

  // Fills the buffer with the raw entry's bytes from `begin` on, decoding only the
  // blocks they lie in. REQUIRES: begin + buffer.size() <= raw_bytes().
  Status DecodeRange(uint64_t begin, std::span<std::byte> buffer) const;

  // Sealed files from which another process of Warmset decodes it: the entry's tensor
  // index, the streams, and the table of codec/segmented_streams.h.
  struct Files {
    os::UniqueFd index;
    os::UniqueFd streams;
    os::UniqueFd segments;
  };
  StatusOr<Files> MakeFiles() const;

 private:
  class Compressor;

  CompressedEntry() = default;
  Status DecodeSegment(const codec::StreamSegment& segment, std::span<std::byte> raw) const;
  Status DecodeAll(std::span<std::byte> raw, uint64_t touched_bytes, unsigned threads) const;

  ComponentManifest component_;
  Reservation reservation_;  // before the memory: released after it
  os::MemoryFile memory_;
  os::Mapping view_;
  codec::SegmentedStreams streams_;  // in view_
  std::map<DType, Share> shares_;  // DType::kInvalid: what belongs to no tensor
  std::vector<ChunkDigest> chunks_;
  ContentDigest content_;
  std::chrono::nanoseconds load_time_{0};  // of the raw entry, from disk
};

// True when the raw entry is what the compressed one decodes to, index included.
// Decodes all of it: for a thread that may block.
StatusOr<bool> SameContent(const Entry& entry, const CompressedEntry& compressed);

}  // namespace warmset

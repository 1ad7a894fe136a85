// A range of bytes as streams of codecs, each of them of one part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "codec/codec.h"

namespace warmset::codec {

// One part, and where its stream lies in the memory of the streams.
struct StreamSegment {
  uint64_t begin = 0;  // in the decoded bytes
  uint64_t bytes = 0;
  uint64_t stream_begin = 0;
  uint64_t stream_bytes = 0;
};

// Decodes any range of the bytes without the rest. The memory must outlive it.
// Immutable, so thread-safe.
class SegmentedStreams {
 public:
  SegmentedStreams() = default;

  // kCorruptedModel unless the segments are in order, none is empty, they leave no hole
  // between 0 and their end, and every stream lies in the memory. What the streams hold
  // is checked as they are decoded.
  static StatusOr<SegmentedStreams> Create(std::vector<StreamSegment> segments,
                                           std::span<const std::byte> memory);
  // The same from a table as EncodeTable() makes it.
  static StatusOr<SegmentedStreams> Parse(std::span<const std::byte> table,
                                          std::span<const std::byte> memory);
  // Four little-endian 64-bit numbers for each segment, in the order of StreamSegment.
  std::string EncodeTable() const;

  // Decoded.
  uint64_t bytes() const {
    return segments_.empty() ? 0 : segments_.back().begin + segments_.back().bytes;
  }
  const std::vector<StreamSegment>& segments() const { return segments_; }

  // Fills `to`, which has the segment's size. kCorruptedModel.
  Status DecodeSegment(const StreamSegment& segment, std::span<std::byte> to) const;

  // Fills the buffer with the bytes from `begin` on; of the blocks that they lie in only
  // the first and the last are decoded aside. kCorruptedModel.
  // REQUIRES: begin + buffer.size() <= bytes().
  Status DecodeRange(uint64_t begin, std::span<std::byte> buffer,
                     Stores stores = Stores::kAuto) const;

  struct Range {
    uint64_t begin = 0;
    uint64_t bytes = 0;
  };
  // Whole blocks of one segment, with `offset` in the first of them: as many as
  // `at_most` bytes hold, but one at least. kCorruptedModel.
  // REQUIRES: offset < bytes().
  StatusOr<Range> BlocksAt(uint64_t offset, uint64_t at_most) const;

 private:
  struct OpenSegment;
  StatusOr<OpenSegment> Open(const StreamSegment& segment) const;
  const StreamSegment& SegmentAt(uint64_t offset) const;

  std::vector<StreamSegment> segments_;
  std::span<const std::byte> memory_;
};

}  // namespace warmset::codec

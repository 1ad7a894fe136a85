#include "codec/segmented_streams.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "fmt/format.h"

namespace warmset::codec {

static_assert(sizeof(StreamSegment) == 32);  // the table's rows, without padding

// A segment's stream, checked to decode to the segment's size.
struct SegmentedStreams::OpenSegment {
  std::span<const std::byte> stream;
  const Codec* codec = nullptr;
  uint64_t block_bytes = 0;
};

StatusOr<SegmentedStreams> SegmentedStreams::Create(std::vector<StreamSegment> segments,
                                                    std::span<const std::byte> memory) {
  uint64_t end = 0;
  for (const StreamSegment& segment : segments) {
    const bool follows = segment.begin == end && segment.bytes > 0 &&
                         segment.bytes <= std::numeric_limits<uint64_t>::max() - end;
    const bool inside = segment.stream_begin <= memory.size() &&
                        segment.stream_bytes <= memory.size() - segment.stream_begin;
    if (!follows || !inside) {
      return Error(ErrorCode::kCorruptedModel,
                   fmt::format("{} bytes of streams do not have a segment of {} bytes at {}",
                               memory.size(), segment.bytes, segment.begin));
    }
    end += segment.bytes;
  }
  SegmentedStreams streams;
  streams.segments_ = std::move(segments);
  streams.memory_ = memory;
  return streams;
}

StatusOr<SegmentedStreams> SegmentedStreams::Parse(std::span<const std::byte> table,
                                                   std::span<const std::byte> memory) {
  if (table.size() % sizeof(StreamSegment) != 0) {
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("a table of segments of {} bytes", table.size()));
  }
  std::vector<StreamSegment> segments(table.size() / sizeof(StreamSegment));
  if (!table.empty()) std::memcpy(segments.data(), table.data(), table.size());
  return Create(std::move(segments), memory);
}

std::string SegmentedStreams::EncodeTable() const {
  return std::string(reinterpret_cast<const char*>(segments_.data()),
                     segments_.size() * sizeof(StreamSegment));
}

StatusOr<SegmentedStreams::OpenSegment> SegmentedStreams::Open(
    const StreamSegment& segment) const {
  OpenSegment open;
  open.stream = memory_.subspan(segment.stream_begin, segment.stream_bytes);
  ASSIGN_OR_RETURN(open.codec, CodecOf(open.stream));
  ASSIGN_OR_RETURN(const StreamView view, StreamView::Parse(open.stream));
  if (view.decoded_bytes() != segment.bytes) {
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("a stream of {} bytes stands for a segment of {}",
                             view.decoded_bytes(), segment.bytes));
  }
  open.block_bytes = view.block_bytes();
  return open;
}

const StreamSegment& SegmentedStreams::SegmentAt(uint64_t offset) const {
  return *std::upper_bound(segments_.begin(), segments_.end(), offset,
                           [](uint64_t at, const StreamSegment& segment) {
                             return at < segment.begin + segment.bytes;
                           });
}

Status SegmentedStreams::DecodeSegment(const StreamSegment& segment,
                                       std::span<std::byte> to) const {
  ASSIGN_OR_RETURN(const OpenSegment open, Open(segment));
  return open.codec->Decode(open.stream, to);
}

Status SegmentedStreams::DecodeRange(uint64_t begin, std::span<std::byte> buffer,
                                     Stores stores) const {
  const DecodeOptions options{.stores = stores};
  std::vector<std::byte> block;
  while (!buffer.empty()) {
    const StreamSegment& segment = SegmentAt(begin);
    ASSIGN_OR_RETURN(const OpenSegment open, Open(segment));
    const uint64_t segment_end = segment.begin + segment.bytes;
    const uint64_t end = std::min(begin + buffer.size(), segment_end);
    while (begin < end) {
      const uint64_t in_segment = begin - segment.begin;
      const uint64_t first = in_segment / open.block_bytes;
      const uint64_t skipped = in_segment % open.block_bytes;
      // Whole blocks go where they belong; those that are wanted in part, by a detour.
      const uint64_t partial = end == segment_end ? 0 : (end - begin) % open.block_bytes;
      uint64_t done = skipped == 0 ? end - begin - partial : 0;
      if (done > 0) {
        const uint64_t blocks = (done + open.block_bytes - 1) / open.block_bytes;
        RETURN_IF_ERROR(open.codec->DecodeBlocks(open.stream, first, blocks, buffer.first(done),
                                                 options));
      } else {
        block.resize(std::min(open.block_bytes, segment.bytes - first * open.block_bytes));
        RETURN_IF_ERROR(open.codec->DecodeBlocks(open.stream, first, 1, block, options));
        done = std::min(end - begin, block.size() - skipped);
        std::memcpy(buffer.data(), block.data() + skipped, done);
      }
      buffer = buffer.subspan(done);
      begin += done;
    }
  }
  return OkStatus();
}

StatusOr<SegmentedStreams::Range> SegmentedStreams::BlocksAt(uint64_t offset,
                                                             uint64_t at_most) const {
  const StreamSegment& segment = SegmentAt(offset);
  ASSIGN_OR_RETURN(const OpenSegment open, Open(segment));
  const uint64_t first = (offset - segment.begin) / open.block_bytes * open.block_bytes;
  const uint64_t blocks = std::max<uint64_t>(1, at_most / open.block_bytes);
  return Range{segment.begin + first,
               std::min(blocks * open.block_bytes, segment.bytes - first)};
}

}  // namespace warmset::codec

// The container of every codec: header, block table, blocks, padding. Defined
// in docs/formats/layered-bit-planes.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/status.h"
#include "tensor/dtype.h"

namespace warmset::codec {

// Numbers of the format: append, never renumber.
enum class CodecKind : uint16_t {
  kRaw = 0,
  kLayered = 1,
  kZstd = 2,
};

inline constexpr uint32_t kStreamMagic = 0x53435357;  // "WSCS"
inline constexpr uint16_t kStreamVersion = 1;
inline constexpr uint32_t kMinBlockElements = 4096;
inline constexpr uint32_t kMaxBlockElements = 65536;
// Every block begins at a multiple of this and ends at one.
inline constexpr uint64_t kBlockAlignment = 64;
// Zeros behind the last block, so that a decoder may load 64 bytes anywhere.
inline constexpr uint64_t kStreamPadding = 64;

struct StreamHeader {
  uint32_t magic = kStreamMagic;
  uint16_t version = kStreamVersion;
  CodecKind codec = CodecKind::kRaw;
  DType dtype = DType::kInvalid;
  uint16_t zero = 0;
  uint32_t block_elements = 0;
  uint64_t elements = 0;
  uint64_t block_count = 0;
  uint64_t stream_bytes = 0;
  uint64_t checksum = 0;  // HeaderChecksum()
  uint64_t zeros[2] = {};
};
static_assert(sizeof(StreamHeader) == 64);

struct BlockRecord {
  uint64_t offset = 0;  // from the stream's first byte
  uint64_t checksum = 0;
};
static_assert(sizeof(BlockRecord) == 16);

// Bytes that one element takes in memory; types below 8 bits count as bytes.
uint64_t StorageBytes(DType dtype);

bool IsValidBlockSize(uint32_t elements);

// Bytes of header and table, a multiple of kBlockAlignment.
uint64_t TableEnd(uint64_t block_count);

// The checksum that the header carries, of the TableEnd() bytes that begin with
// it. Its own field counts as zero.
uint64_t HeaderChecksum(std::span<const std::byte> header_and_table);

// A stream whose header and table are whole and consistent: every block lies
// inside the stream, behind the table, in order. The blocks themselves are
// unverified. The stream must outlive the view. Immutable, so thread-safe.
class StreamView {
 public:
  // kCorruptedModel with what is wrong.
  static StatusOr<StreamView> Parse(std::span<const std::byte> stream);

  const StreamHeader& header() const { return header_; }
  uint64_t block_count() const { return header_.block_count; }
  // Bytes of the decoded elements.
  uint64_t decoded_bytes() const { return header_.elements * StorageBytes(header_.dtype); }
  // Bytes of a full decoded block.
  uint64_t block_bytes() const { return header_.block_elements * StorageBytes(header_.dtype); }
  // Decoded bytes of `count` blocks from `first` on.
  // REQUIRES: first + count <= block_count().
  uint64_t RangeBytes(uint64_t first, uint64_t count) const;

  // REQUIRES: i < block_count().
  std::span<const std::byte> block(uint64_t i) const;
  uint64_t checksum(uint64_t i) const { return Record(i).checksum; }

 private:
  BlockRecord Record(uint64_t i) const;

  std::span<const std::byte> stream_;
  StreamHeader header_;
};

}  // namespace warmset::codec

#include "codec/stream_format.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "base/byte_reader.h"
#include "base/digest.h"
#include "base/strong.h"
#include "fmt/format.h"

namespace warmset::codec {
namespace {

Status Corrupted(std::string_view what) {
  return Error(ErrorCode::kCorruptedModel, fmt::format("compressed stream: {}", what));
}

Status CheckHeader(const StreamHeader& header, uint64_t stream_bytes) {
  if (header.magic != kStreamMagic) return Corrupted("not a stream of this format");
  if (header.version != kStreamVersion) {
    return Corrupted(fmt::format("version {}, {} is understood", header.version, kStreamVersion));
  }
  if (header.codec > CodecKind::kZstd) return Corrupted("unknown codec");
  if (StorageBytes(header.dtype) == 0) return Corrupted("unknown dtype");
  if (!IsValidBlockSize(header.block_elements)) return Corrupted("invalid block size");
  if (header.zero != 0 || header.zeros[0] != 0 || header.zeros[1] != 0) {
    return Corrupted("reserved fields are not zero");
  }
  if (header.stream_bytes != stream_bytes) {
    return Corrupted(
        fmt::format("{} bytes, its header says {}", stream_bytes, header.stream_bytes));
  }
  if (!CheckedMultiply(header.elements, StorageBytes(header.dtype)).has_value()) {
    return Corrupted("too many elements");
  }
  const uint64_t blocks = header.elements / header.block_elements +
                          (header.elements % header.block_elements != 0 ? 1 : 0);
  if (header.block_count != blocks) return Corrupted("wrong number of blocks");
  return OkStatus();
}

}  // namespace

uint64_t StorageBytes(DType dtype) {
  return IsQuantized(dtype) ? 1 : (DTypeBits(dtype) + 7) / 8;
}

bool IsValidBlockSize(uint32_t elements) {
  return std::has_single_bit(elements) && elements >= kMinBlockElements &&
         elements <= kMaxBlockElements;
}

uint64_t TableEnd(uint64_t block_count) {
  return AlignUp(sizeof(StreamHeader) + block_count * sizeof(BlockRecord), kBlockAlignment);
}

uint64_t HeaderChecksum(std::span<const std::byte> header_and_table) {
  std::vector<std::byte> bytes(header_and_table.begin(), header_and_table.end());
  constexpr size_t kField = offsetof(StreamHeader, checksum);
  std::memset(bytes.data() + kField, 0, sizeof(StreamHeader::checksum));
  const auto digest = Xxh3(bytes);
  uint64_t checksum = 0;
  std::memcpy(&checksum, digest.data(), sizeof checksum);
  return checksum;
}

StatusOr<StreamView> StreamView::Parse(std::span<const std::byte> stream) {
  StreamView view;
  view.stream_ = stream;
  if (stream.size() < sizeof(StreamHeader) + kStreamPadding) return Corrupted("truncated");
  std::memcpy(&view.header_, stream.data(), sizeof view.header_);
  const StreamHeader& header = view.header_;
  RETURN_IF_ERROR(CheckHeader(header, stream.size()));

  const uint64_t blocks_end = stream.size() - kStreamPadding;
  if (blocks_end % kBlockAlignment != 0) return Corrupted("its end is not aligned");
  if (header.block_count > blocks_end / sizeof(BlockRecord) ||
      TableEnd(header.block_count) > blocks_end) {
    return Corrupted("the block table leaves the stream");
  }
  uint64_t end = TableEnd(header.block_count);
  if (HeaderChecksum(stream.first(end)) != header.checksum) {
    return Corrupted("checksum of the header is wrong");
  }
  for (uint64_t i = 0; i < header.block_count; ++i) {
    const uint64_t offset = view.Record(i).offset;
    if (i == 0 ? offset != end : offset <= end) return Corrupted("blocks are not in order");
    if (offset % kBlockAlignment != 0 || offset >= blocks_end) {
      return Corrupted(fmt::format("block {} leaves the stream", i));
    }
    end = offset;
  }
  if (header.block_count == 0 && end != blocks_end) return Corrupted("bytes without a block");
  for (const std::byte padding : stream.subspan(blocks_end)) {
    if (padding != std::byte{0}) return Corrupted("its padding is not zero");
  }
  return view;
}

uint64_t StreamView::RangeBytes(uint64_t first, uint64_t count) const {
  const uint64_t begin = std::min(first * block_bytes(), decoded_bytes());
  return std::min((first + count) * block_bytes(), decoded_bytes()) - begin;
}

std::span<const std::byte> StreamView::block(uint64_t i) const {
  const uint64_t begin = Record(i).offset;
  const uint64_t end =
      i + 1 < block_count() ? Record(i + 1).offset : stream_.size() - kStreamPadding;
  return stream_.subspan(begin, end - begin);
}

BlockRecord StreamView::Record(uint64_t i) const {
  BlockRecord record;
  std::memcpy(&record, stream_.data() + sizeof header_ + i * sizeof record, sizeof record);
  return record;
}

}  // namespace warmset::codec

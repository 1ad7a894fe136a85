#include "codec/codec.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "base/strong.h"
#include "codec/checksum.h"
#include "codec/layered/layered_codec.h"
#include "codec/raw_codec.h"
#include "codec/zstd_codec.h"
#include "fmt/format.h"

namespace warmset::codec {
namespace {

constexpr uint64_t kNonTemporalFrom = 4 * kMiB;

uint64_t DivideUp(uint64_t value, uint64_t by) { return value / by + (value % by != 0 ? 1 : 0); }

// Calls run(i, begin, end) for `threads` contiguous parts of [0, count), each
// on a thread of its own, and returns the first error.
template <typename Run>
Status InParallel(uint64_t count, uint64_t threads, Run run) {
  threads = std::clamp<uint64_t>(threads, 1, std::max<uint64_t>(count, 1));
  if (threads == 1) return run(0, uint64_t{0}, count);
  std::vector<Status> results(threads);
  {
    std::vector<std::jthread> workers;
    for (uint64_t i = 0; i < threads; ++i) {
      workers.emplace_back(
          [&, i] { results[i] = run(i, count * i / threads, count * (i + 1) / threads); });
    }
  }
  for (const Status& result : results) RETURN_IF_ERROR(result);
  return OkStatus();
}

}  // namespace

// Consecutive blocks that one thread wrote to `out`; offsets from its start.
struct Codec::EncodedRun {
  uint64_t bytes = 0;
  std::vector<BlockRecord> blocks;
};

uint64_t Codec::EncodedBound(DType dtype, uint64_t bytes, const EncodeOptions& options) const {
  const uint64_t block_bytes = options.block_elements * StorageBytes(dtype);
  if (block_bytes == 0) return 0;
  const uint64_t blocks = DivideUp(bytes, block_bytes);
  return TableEnd(blocks) + blocks * AlignUp(BlockBound(block_bytes), kBlockAlignment) +
         kStreamPadding;
}

Status Codec::EncodeRun(std::span<const std::byte> elements, DType dtype, uint64_t block_bytes,
                        std::span<std::byte> out, EncodedRun& run) const {
  const auto scratch = NewScratch();
  for (uint64_t begin = 0; begin < elements.size(); begin += block_bytes) {
    const auto source = elements.subspan(begin, std::min(block_bytes, elements.size() - begin));
    const auto target = out.subspan(run.bytes, BlockBound(source.size()));
    ASSIGN_OR_RETURN(const uint64_t bytes, EncodeBlock(source, dtype, target, *scratch));
    const uint64_t padded = AlignUp(bytes, kBlockAlignment);
    std::memset(out.data() + run.bytes + bytes, 0, padded - bytes);
    run.blocks.push_back({run.bytes, BlockChecksum(out.subspan(run.bytes, padded))});
    run.bytes += padded;
  }
  return OkStatus();
}

StatusOr<uint64_t> Codec::Encode(std::span<const std::byte> elements, DType dtype,
                                 std::span<std::byte> stream, const EncodeOptions& options) const {
  const uint64_t element_bytes = StorageBytes(dtype);
  if (element_bytes == 0 || !Supports(dtype)) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("codec {} does not encode {}", name(), DTypeName(dtype)));
  }
  if (elements.size() % element_bytes != 0 || !IsValidBlockSize(options.block_elements) ||
      stream.size() < EncodedBound(dtype, elements.size(), options)) {
    return Error(
        ErrorCode::kInvalidRequest,
        fmt::format("encode {} bytes of {} in blocks of {} elements into {} bytes", elements.size(),
                    DTypeName(dtype), options.block_elements, stream.size()));
  }
  StreamHeader header;
  header.codec = kind();
  header.dtype = dtype;
  header.block_elements = options.block_elements;
  header.elements = elements.size() / element_bytes;
  const uint64_t block_bytes = options.block_elements * element_bytes;
  header.block_count = DivideUp(elements.size(), block_bytes);

  // Each thread writes where its blocks would begin if all were of the largest
  // size; then the runs are pushed together.
  const uint64_t table_end = TableEnd(header.block_count);
  const uint64_t largest = AlignUp(BlockBound(block_bytes), kBlockAlignment);
  std::vector<EncodedRun> runs(std::max(1U, options.threads));
  std::vector<uint64_t> begins(runs.size());
  RETURN_IF_ERROR(InParallel(
      header.block_count, runs.size(), [&](uint64_t i, uint64_t first, uint64_t last) -> Status {
        begins[i] = table_end + first * largest;
        const uint64_t begin = first * block_bytes;
        const uint64_t end = std::min(last * block_bytes, elements.size());
        return EncodeRun(elements.subspan(begin, end - begin), dtype, block_bytes,
                         stream.subspan(begins[i], (last - first) * largest), runs[i]);
      }));
  std::vector<BlockRecord> table;
  table.reserve(header.block_count);
  uint64_t end = table_end;
  for (size_t i = 0; i < runs.size(); ++i) {
    std::memmove(stream.data() + end, stream.data() + begins[i], runs[i].bytes);
    for (const BlockRecord& block : runs[i].blocks) {
      table.push_back({end + block.offset, block.checksum});
    }
    end += runs[i].bytes;
  }
  std::memset(stream.data() + end, 0, kStreamPadding);
  header.stream_bytes = end + kStreamPadding;
  std::memset(stream.data(), 0, table_end);
  std::memcpy(stream.data(), &header, sizeof header);
  std::copy_n(std::as_bytes(std::span(table)).begin(), table.size() * sizeof(BlockRecord),
              stream.begin() + sizeof header);
  header.checksum = HeaderChecksum(stream.first(table_end));
  std::memcpy(stream.data(), &header, sizeof header);
  return header.stream_bytes;
}

Status Codec::DecodeRun(const StreamView& view, uint64_t first, uint64_t count,
                        std::span<std::byte> elements, const DecodeOptions& options) const {
  const auto scratch = NewScratch();
  std::optional<uint64_t> next_checksum;
  BlockTarget target;
  target.next_checksum = &next_checksum;
  target.non_temporal = options.stores == Stores::kNonTemporal;
  for (uint64_t i = first; i < first + count; ++i) {
    const auto block = view.block(i);
    if (options.verify_checksums) {
      const auto known = std::exchange(next_checksum, std::nullopt);
      const uint64_t checksum = known.has_value() ? *known : BlockChecksum(block);
      if (checksum != view.checksum(i)) {
        return Error(ErrorCode::kCorruptedModel,
                     fmt::format("compressed block {}: its checksum is wrong", i));
      }
    }
    target.elements = elements.subspan((i - first) * view.block_bytes(), view.RangeBytes(i, 1));
    target.next_block = i + 1 < first + count ? view.block(i + 1) : std::span<const std::byte>();
    const Status decoded = DecodeBlock(block, view.header().dtype, target, *scratch);
    if (!decoded.ok()) return Annotate(decoded, fmt::format("compressed block {}", i));
  }
  return OkStatus();
}

Status Codec::DecodeBlocks(std::span<const std::byte> stream, uint64_t first, uint64_t count,
                           std::span<std::byte> elements, const DecodeOptions& options) const {
  ASSIGN_OR_RETURN(const StreamView view, StreamView::Parse(stream));
  if (view.header().codec != kind() || !Supports(view.header().dtype)) {
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("not a stream of codec {} with a dtype of its own", name()));
  }
  if (first > view.block_count() || count > view.block_count() - first ||
      elements.size() != view.RangeBytes(first, count)) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("decode blocks {} to {} of {} into {} bytes", first, first + count,
                             view.block_count(), elements.size()));
  }
  DecodeOptions resolved = options;
  if (options.stores == Stores::kAuto) {
    resolved.stores = elements.size() >= kNonTemporalFrom ? Stores::kNonTemporal : Stores::kCached;
  }
  return InParallel(count, options.threads, [&](uint64_t, uint64_t begin, uint64_t end) {
    return DecodeRun(view, first + begin, end - begin,
                     elements.subspan(std::min(begin * view.block_bytes(), elements.size()),
                                      view.RangeBytes(first + begin, end - begin)),
                     resolved);
  });
}

Status Codec::Decode(std::span<const std::byte> stream, std::span<std::byte> elements,
                     const DecodeOptions& options) const {
  ASSIGN_OR_RETURN(const StreamView view, StreamView::Parse(stream));
  return DecodeBlocks(stream, 0, view.block_count(), elements, options);
}

const Codec& GetCodec(CodecKind kind) {
  static const RawCodec raw;
  static const LayeredCodec layered;
  static const ZstdCodec zstd;
  switch (kind) {
    case CodecKind::kLayered:
      return layered;
    case CodecKind::kZstd:
      return zstd;
    case CodecKind::kRaw:
      break;
  }
  return raw;
}

StatusOr<const Codec*> CodecOf(std::span<const std::byte> stream) {
  ASSIGN_OR_RETURN(const StreamView view, StreamView::Parse(stream));
  return &GetCodec(view.header().codec);
}

}  // namespace warmset::codec

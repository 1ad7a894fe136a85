#include "cache/compressed_entry.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "cache/entry_segments.h"
#include "cache/touch_ahead.h"
#include "codec/codec.h"
#include "codec/stream_format.h"
#include "fmt/format.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/huge_pages.h"
#include "os/mapping.h"

namespace warmset {
namespace {

constexpr std::string_view kMemoryName = "warmset-compressed";
constexpr uint64_t kPageBytes = 4 * kKiB;
constexpr uint64_t kSampleBytes = 64 * kKiB;

// Bytes that belong to no tensor are encoded as such.
DType EncodedAs(DType dtype) { return dtype == DType::kInvalid ? DType::kU8 : dtype; }

StatusOr<std::string> ReadIndex(const Entry& entry) {
  std::string index(entry.index_bytes(), '\0');
  RETURN_IF_ERROR(
      os::ReadExactly(entry.index_fd(), std::as_writable_bytes(std::span(index)), 0));
  return index;
}

// Whether a sample says that zstd saves an eighth, which pays for its slow decoding.
bool SuitsZstd(std::span<const std::byte> bytes) {
  const codec::Codec& zstd = codec::GetCodec(codec::CodecKind::kZstd);
  const auto sample = bytes.first(std::min<uint64_t>(bytes.size(), kSampleBytes));
  std::vector<std::byte> stream(zstd.EncodedBound(DType::kU8, sample.size()));
  const auto encoded = zstd.Encode(sample, DType::kU8, stream);
  return encoded.ok() && *encoded <= sample.size() - sample.size() / 8;
}

const codec::Codec& CodecFor(DType dtype, std::span<const std::byte> bytes) {
  const codec::Codec& layered = codec::GetCodec(codec::CodecKind::kLayered);
  if (dtype != DType::kInvalid && layered.Supports(dtype)) return layered;
  return codec::GetCodec(SuitsZstd(bytes) ? codec::CodecKind::kZstd : codec::CodecKind::kRaw);
}

// Where a test has armed the fault "compressed_memory", it is damaged.
Status CheckMemory() {
  if (os::InjectedFault("compressed_memory") == 0) return OkStatus();
  return Error(ErrorCode::kCorruptedModel, "compressed memory is damaged (injected)");
}

}  // namespace

// Writes segment after segment, never more than the reservation stands for.
class CompressedEntry::Compressor {
 public:
  Compressor(CompressedEntry& made, std::span<const std::byte> raw) : made_(made), raw_(raw) {}

  Status Run(const std::vector<EntrySegment>& segments, const std::stop_token& stop,
             const std::function<void()>& pause) {
    uint64_t most = 0;
    for (const EntrySegment& segment : segments) most += Bound(segment);
    ASSIGN_OR_RETURN(made_.memory_,
                     os::MemoryFile::Create(kMemoryName, AlignUp(most, kPageBytes)));
    segments_.reserve(segments.size());
    for (const EntrySegment& segment : segments) {
      pause();
      if (stop.stop_requested()) return Error(ErrorCode::kCancelled, "compressing was stopped");
      RETURN_IF_ERROR(Add(segment));
    }
    RETURN_IF_ERROR(made_.memory_.Resize(AlignUp(end_, kPageBytes)));
    made_.reservation_.ShrinkTo(ByteCount(made_.memory_.size() + IndexBytes()));
    RETURN_IF_ERROR(made_.memory_.Seal());
    ASSIGN_OR_RETURN(made_.view_, os::Mapping::Create(made_.memory_.fd(), made_.memory_.size(),
                                                      os::Mapping::Kind::kSharedReadOnly));
    ASSIGN_OR_RETURN(made_.streams_, codec::SegmentedStreams::Create(std::move(segments_),
                                                                     made_.view_.span()));
    return OkStatus();
  }

 private:
  // Of any codec that Add() may choose.
  static uint64_t Bound(const EntrySegment& segment) {
    uint64_t bound = 0;
    for (const auto kind :
         {codec::CodecKind::kRaw, codec::CodecKind::kLayered, codec::CodecKind::kZstd}) {
      bound = std::max(bound, codec::GetCodec(kind).EncodedBound(EncodedAs(segment.dtype),
                                                                 segment.bytes));
    }
    return AlignUp(bound, codec::kBlockAlignment);
  }

  uint64_t IndexBytes() const {
    return AlignUp(made_.component_.tensor_index.size(), kPageBytes);
  }

  // Memory up to `end`, from the budget and from the system.
  Status Grow(uint64_t end) {
    if (end <= touched_) return OkStatus();
    const auto memory = made_.memory_.writable().span();
    const uint64_t to = std::min(AlignUp(end, os::kHugePageBytes), memory.size());
    const ByteCount needed(to + IndexBytes());
    if (needed > made_.reservation_.bytes()) RETURN_IF_ERROR(made_.reservation_.GrowTo(needed));
    os::TouchMemory(memory.subspan(touched_, to - touched_));
    touched_ = to;
    return OkStatus();
  }

  Status Add(const EntrySegment& segment) {
    const auto raw = raw_.subspan(segment.begin, segment.bytes);
    const DType dtype = EncodedAs(segment.dtype);
    const codec::Codec& codec = CodecFor(segment.dtype, raw);
    RETURN_IF_ERROR(Grow(end_ + Bound(segment)));
    const auto room = made_.memory_.writable().span().subspan(end_);
    ASSIGN_OR_RETURN(const uint64_t bytes, codec.Encode(raw, dtype, room));
    RETURN_IF_ERROR(CheckLossless(codec, room.first(bytes), raw));
    segments_.push_back({segment.begin, segment.bytes, end_, bytes});
    Share& share = made_.shares_[segment.dtype];
    share.raw_bytes += segment.bytes;
    share.compressed_bytes += bytes;
    end_ += AlignUp(bytes, codec::kBlockAlignment);
    return OkStatus();
  }

  // The raw entry will be given up for this.
  Status CheckLossless(const codec::Codec& codec, std::span<const std::byte> stream,
                       std::span<const std::byte> raw) {
    decoded_.resize(std::max(decoded_.size(), raw.size()));
    const auto decoded = std::span(decoded_).first(raw.size());
    RETURN_IF_ERROR(codec.Decode(stream, decoded, {.stores = codec::Stores::kCached}));
    if (std::memcmp(decoded.data(), raw.data(), raw.size()) == 0) return OkStatus();
    return Error(ErrorCode::kInternal,
                 fmt::format("codec {} did not give back what it was given", codec.name()));
  }

  CompressedEntry& made_;
  const std::span<const std::byte> raw_;
  std::vector<codec::StreamSegment> segments_;
  uint64_t end_ = 0;      // of what is written
  uint64_t touched_ = 0;  // of the memory
  std::vector<std::byte> decoded_;
};

StatusOr<std::unique_ptr<CompressedEntry>> CompressedEntry::Make(
    const Entry& entry, Reservation reservation, const std::stop_token& stop,
    const std::function<void()>& pause) {
  ASSIGN_OR_RETURN(const os::Mapping raw,
                   os::Mapping::Create(entry.data_fd(), entry.bytes(),
                                       os::Mapping::Kind::kSharedReadOnly));
  std::unique_ptr<CompressedEntry> made(new CompressedEntry);
  made->component_.id = entry.component();
  made->component_.entry_bytes = entry.bytes();
  ASSIGN_OR_RETURN(made->component_.tensor_index, ReadIndex(entry));
  ASSIGN_OR_RETURN(const auto segments, DivideEntry(made->component_));
  made->reservation_ = std::move(reservation);
  made->chunks_ = entry.chunks();
  made->content_ = entry.content();
  made->load_time_ = entry.load_time();
  RETURN_IF_ERROR(Compressor(*made, raw.span()).Run(segments, stop, pause));
  made->reservation_.SetKind(MemoryKind::kCompressed);
  return made;
}

Status CompressedEntry::DecodeSegment(const codec::StreamSegment& segment,
                                      std::span<std::byte> raw) const {
  RETURN_IF_ERROR(CheckMemory());
  return streams_.DecodeSegment(segment, raw.subspan(segment.begin, segment.bytes));
}

Status CompressedEntry::DecodeAll(std::span<std::byte> raw, uint64_t touched_bytes,
                                  unsigned threads) const {
  TouchAhead touched(raw, touched_bytes);
  std::atomic<size_t> next = 0;
  const std::vector<codec::StreamSegment>& segments = streams_.segments();
  std::vector<Status> results(std::clamp<size_t>(threads, 1, std::max<size_t>(1, segments.size())));
  const auto work = [&](Status& result) {
    for (size_t i = next++; i < segments.size() && result.ok(); i = next++) {
      touched.WaitFor(segments[i].begin + segments[i].bytes);
      result = DecodeSegment(segments[i], raw);
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < results.size(); ++i) {
      helpers.emplace_back([&, i] { work(results[i]); });
    }
    work(results[0]);
  }
  for (const Status& result : results) RETURN_IF_ERROR(result);
  return OkStatus();
}

StatusOr<std::unique_ptr<Entry>> CompressedEntry::Decode(const ComponentId& component,
                                                         LoadMemory memory,
                                                         unsigned threads) const {
  ASSIGN_OR_RETURN(const uint64_t touched_bytes, FitMemory(memory, component_));
  try {
    RETURN_IF_ERROR(DecodeAll(memory.file.writable().span(), touched_bytes, threads));
  } catch (const std::system_error& error) {  // no more threads
    return ErrnoError(error.code().value(), "start a thread");
  }
  ComponentManifest manifest = component_;
  manifest.id = component;
  return FilledEntry{.component = manifest,
                     .memory = std::move(memory),
                     .chunks = chunks_,
                     .load_time = load_time_}
      .VerifyAndSeal({});
}

Status CompressedEntry::DecodeRange(uint64_t begin, std::span<std::byte> buffer) const {
  RETURN_IF_ERROR(CheckMemory());
  return streams_.DecodeRange(begin, buffer);
}

StatusOr<CompressedEntry::Files> CompressedEntry::MakeFiles() const {
  ASSIGN_OR_RETURN(const os::MemoryFile index,
                   os::MakeSealedFile("warmset-index", AsBytes(component_.tensor_index)));
  std::string table = streams_.EncodeTable();
  // What a test has damaged, the other process must find.
  if (os::InjectedFault("compressed_memory") != 0) table.assign(table.size(), '\0');
  ASSIGN_OR_RETURN(const os::MemoryFile segments,
                   os::MakeSealedFile("warmset-segments", AsBytes(table)));
  Files files;
  ASSIGN_OR_RETURN(files.index, os::Duplicate(index.fd()));
  ASSIGN_OR_RETURN(files.streams, os::Duplicate(memory_.fd()));
  ASSIGN_OR_RETURN(files.segments, os::Duplicate(segments.fd()));
  return files;
}

StatusOr<bool> SameContent(const Entry& entry, const CompressedEntry& compressed) {
  const std::string& index = compressed.component().tensor_index;
  if (entry.bytes() != compressed.raw_bytes() || entry.index_bytes() != index.size()) return false;
  ASSIGN_OR_RETURN(const std::string entry_index, ReadIndex(entry));
  if (entry_index != index) return false;
  ASSIGN_OR_RETURN(const os::Mapping raw,
                   os::Mapping::Create(entry.data_fd(), entry.bytes(),
                                       os::Mapping::Kind::kSharedReadOnly));
  std::vector<std::byte> part;
  for (uint64_t at = 0; at < raw.size(); at += part.size()) {
    part.resize(std::min(kMaxSegmentBytes, raw.size() - at));
    RETURN_IF_ERROR(compressed.DecodeRange(at, part));
    if (std::memcmp(part.data(), raw.data() + at, part.size()) != 0) return false;
  }
  return true;
}

}  // namespace warmset

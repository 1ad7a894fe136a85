#include "worker/staged_entry.h"

#include <algorithm>

#include "fmt/format.h"
#include "os/memory_file.h"

namespace warmset {
namespace {

constexpr uint64_t kStagingBytes = 1 * kMiB;

// An entry's own bytes may be guarded instead.
StatusOr<os::Mapping> MapData(const os::UniqueFd& file) {
  ASSIGN_OR_RETURN(const uint64_t bytes, os::ReadOnlySize(file.get()));
  return os::Mapping::Create(file.get(), bytes, os::Mapping::Kind::kSharedReadOnly);
}

StatusOr<os::Mapping> MapSealed(const os::UniqueFd& file) {
  ASSIGN_OR_RETURN(const uint64_t bytes, os::SealedSize(file.get()));
  return os::Mapping::Create(file.get(), bytes, os::Mapping::Kind::kSharedReadOnly);
}

}  // namespace

StatusOr<StagedEntry> StagedEntry::Open(const EntryFiles& files) {
  StagedEntry entry;
  ASSIGN_OR_RETURN(entry.index_bytes_, MapSealed(files.index));
  ASSIGN_OR_RETURN(entry.index_, TensorIndex::Parse(entry.index_bytes_.span()));
  ASSIGN_OR_RETURN(entry.data_, MapData(files.data));
  entry.compressed_ = files.segments.valid();
  uint64_t bytes = entry.data_.size();
  if (entry.compressed_) {
    ASSIGN_OR_RETURN(const os::Mapping table, MapSealed(files.segments));
    ASSIGN_OR_RETURN(entry.streams_,
                     codec::SegmentedStreams::Parse(table.span(), entry.data_.span()));
    bytes = entry.streams_.bytes();
    entry.staging_.resize(kStagingBytes);
  }
  if (bytes != files.bytes.value()) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("an entry of {} bytes came with {}", files.bytes.value(), bytes));
  }
  if (entry.index_.data_bytes() > bytes) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("a tensor index of {} bytes of memory came with {}",
                             entry.index_.data_bytes(), bytes));
  }
  return entry;
}

StatusOr<std::span<const std::byte>> StagedEntry::Read(uint64_t offset, uint64_t at_most) {
  if (!compressed_) {
    return data_.span().subspan(offset, std::min(at_most, data_.size() - offset));
  }
  if (offset < staged_.begin || offset - staged_.begin >= staged_.bytes) {
    staged_ = {};
    ASSIGN_OR_RETURN(const codec::SegmentedStreams::Range next,
                     streams_.BlocksAt(offset, kStagingBytes));
    staging_.resize(std::max<uint64_t>(staging_.size(), next.bytes));
    RETURN_IF_ERROR(streams_.DecodeRange(next.begin, std::span(staging_).first(next.bytes),
                                         codec::Stores::kCached));
    staged_ = next;
  }
  const uint64_t skipped = offset - staged_.begin;
  return std::span<const std::byte>(staging_).subspan(
      skipped, std::min(at_most, staged_.bytes - skipped));
}

}  // namespace warmset

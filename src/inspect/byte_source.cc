#include "inspect/byte_source.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "fmt/format.h"
#include "inspect/cut_off.h"
#include "os/file.h"

namespace warmset {
namespace {

Status EndsBefore(uint64_t offset, uint64_t bytes, uint64_t end) {
  return AtOffset(Error(ErrorCode::kCorruptedModel,
                        fmt::format("{} bytes are expected at offset {}, where {} are left", bytes,
                                    offset, offset < end ? end - offset : 0)),
                  offset);
}

}  // namespace

Status ByteSource::Read(uint64_t offset, std::span<std::byte> buffer) {
  if (offset > size_ || buffer.size() > size_ - offset) {
    return EndsBefore(offset, buffer.size(), size_);
  }
  return buffer.empty() ? OkStatus() : ReadInside(offset, buffer);
}

Status FileSource::ReadInside(uint64_t offset, std::span<std::byte> buffer) {
  return os::ReadExactly(fd_, buffer, offset);
}

Status MemorySource::ReadInside(uint64_t offset, std::span<std::byte> buffer) {
  std::memcpy(buffer.data(), bytes_.data() + offset, buffer.size());
  return OkStatus();
}

Status SourcePart::ReadInside(uint64_t offset, std::span<std::byte> buffer) {
  return whole_.Read(begin_ + offset, buffer);
}

StatusOr<std::string> ReadText(ByteSource& source, uint64_t offset, uint64_t bytes) {
  if (offset > source.size() || bytes > source.size() - offset) {
    return EndsBefore(offset, bytes, source.size());  // before memory is taken for it
  }
  std::string text(bytes, '\0');
  RETURN_IF_ERROR(source.Read(offset, std::as_writable_bytes(std::span(text.data(), bytes))));
  return text;
}

Status SourceReader::CheckRemaining(uint64_t bytes) const {
  if (bytes <= remaining()) return OkStatus();
  const bool at_end_of_file = !source_.is_part() && end_ == source_.size();
  if (!at_end_of_file) return EndsBefore(offset_, bytes, end_);
  const auto promised = CheckedAdd(offset_, bytes);
  if (!promised || *promised > kMaxPlausibleFileBytes) return EndsBefore(offset_, bytes, end_);
  return CutOffWithin(end_, "its header");
}

StatusOr<std::span<const std::byte>> SourceReader::Take(size_t bytes) {
  RETURN_IF_ERROR(CheckRemaining(bytes));
  const uint64_t window_end = window_begin_ + window_bytes_;
  if (offset_ < window_begin_ || offset_ + bytes > window_end) {
    if (window_ == nullptr) window_ = std::make_unique_for_overwrite<std::byte[]>(kWindowBytes);
    const size_t size = std::min<uint64_t>(kWindowBytes, remaining());
    window_bytes_ = 0;  // whatever a failed read leaves is not looked at
    RETURN_IF_ERROR(source_.Read(offset_, {window_.get(), size}));
    window_begin_ = offset_;
    window_bytes_ = size;
  }
  const std::span<const std::byte> taken(window_.get() + (offset_ - window_begin_), bytes);
  offset_ += bytes;
  return taken;
}

StatusOr<std::string> SourceReader::ReadString(uint64_t bytes, uint64_t max_bytes) {
  RETURN_IF_ERROR(CheckRemaining(bytes));
  if (bytes > max_bytes) {
    return AtOffset(Error(ErrorCode::kCorruptedModel,
                          fmt::format("{} bytes of text at offset {}, at most {} are allowed",
                                      bytes, offset_, max_bytes)),
                    offset_);
  }
  if (bytes <= kWindowBytes) {
    ASSIGN_OR_RETURN(const std::span<const std::byte> raw, Take(bytes));
    return std::string(reinterpret_cast<const char*>(raw.data()), raw.size());
  }
  ASSIGN_OR_RETURN(std::string text, ReadText(source_, offset_, bytes));
  offset_ += bytes;
  return text;
}

Status SourceReader::Skip(uint64_t bytes) {
  RETURN_IF_ERROR(CheckRemaining(bytes));
  offset_ += bytes;
  return OkStatus();
}

}  // namespace warmset

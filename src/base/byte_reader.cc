#include "base/byte_reader.h"

#include "fmt/format.h"

namespace warmset {

StatusOr<std::span<const std::byte>> ByteReader::ReadBytes(uint64_t count) {
  if (count > remaining()) {
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("{} bytes wanted at offset {}, {} are left", count, offset_,
                             remaining()));
  }
  const auto result = data_.subspan(offset_, count);
  offset_ += count;
  return result;
}

StatusOr<std::string_view> ByteReader::ReadString(uint64_t max_bytes) {
  const uint64_t start = offset_;
  ASSIGN_OR_RETURN(const auto length, Read<uint32_t>());
  if (length > max_bytes) {
    offset_ = start;
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("a string of {} bytes at offset {}, {} are allowed", length, start,
                             max_bytes));
  }
  auto raw = ReadBytes(length);
  if (!raw.ok()) {
    offset_ = start;
    return raw.status();
  }
  return std::string_view(reinterpret_cast<const char*>(raw->data()), raw->size());
}

}  // namespace warmset

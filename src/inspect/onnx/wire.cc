#include "inspect/onnx/wire.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "fmt/format.h"
#include "inspect/cut_off.h"

namespace warmset {
namespace {

constexpr size_t kMaxVarintBytes = 10;
constexpr uint32_t kMaxFieldNumber = (1u << 29) - 1;

Status Corrupt(uint64_t offset, std::string_view what) {
  return AtOffset(Error(ErrorCode::kCorruptedModel, fmt::format("{} at offset {}", what, offset)),
                  offset);
}

// Decodes what begins at `offset`; its length is added to `offset`.
StatusOr<uint64_t> DecodeVarint(std::span<const std::byte> bytes, uint64_t& offset) {
  uint64_t value = 0;
  for (size_t i = 0; i < std::min(bytes.size(), kMaxVarintBytes); ++i) {
    const auto byte = std::to_integer<uint64_t>(bytes[i]);
    // The tenth byte holds the last bit of 64.
    if (i == kMaxVarintBytes - 1 && byte > 1) break;
    value |= (byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) {
      offset += i + 1;
      return value;
    }
  }
  return Corrupt(offset, bytes.size() < kMaxVarintBytes ? "a number is cut off"
                                                        : "a number has more than 64 bits");
}

}  // namespace

StatusOr<std::span<const std::byte>> WireSource::Peek(uint64_t offset, uint64_t end,
                                                      size_t wanted) {
  wanted = std::min<uint64_t>(wanted, end - offset);
  const bool follows = offset >= window_begin_ && offset <= window_begin_ + window_bytes_;
  if (!follows || offset + wanted > window_begin_ + window_bytes_) {
    if (window_ == nullptr) window_ = std::make_unique_for_overwrite<std::byte[]>(kMaxWindowBytes);
    next_bytes_ = follows ? std::min(next_bytes_ * 2, kMaxWindowBytes) : kMinWindowBytes;
    const size_t bytes = std::min<uint64_t>(std::max(next_bytes_, wanted), size() - offset);
    window_bytes_ = 0;
    RETURN_IF_ERROR(file_.Read(offset, std::span(window_.get(), bytes)));
    window_begin_ = offset;
    window_bytes_ = bytes;
  }
  const size_t skipped = offset - window_begin_;
  return std::span<const std::byte>(window_.get() + skipped,
                                    std::min<uint64_t>(window_bytes_ - skipped, end - offset));
}

Status WireSource::CountField() {
  if (++fields_ <= kMaxFields) return OkStatus();
  return Error(
      ErrorCode::kUnsupportedFormat,
      fmt::format("it is not read further: reading it takes more than {} steps", kMaxFields));
}

bool WireMessage::Next() {
  if (!status_.ok() || offset_ == end_) return false;
  status_ = ReadField();
  return status_.ok();
}

Status WireMessage::ReadField() {
  RETURN_IF_ERROR(source_.CountField());
  field_.offset = offset_;
  ASSIGN_OR_RETURN(const uint64_t tag, ReadVarint());
  const uint64_t number = tag >> 3;
  if (number == 0 || number > kMaxFieldNumber) {
    return Corrupt(field_.offset, fmt::format("a field has the number {}", number));
  }
  field_.number = static_cast<uint32_t>(number);
  uint64_t bytes = 0;
  switch (tag & 7) {
    case 0: {
      field_.type = WireType::kVarint;
      ASSIGN_OR_RETURN(field_.value, ReadVarint());
      return OkStatus();
    }
    case 1:
      field_.type = WireType::kFixed64;
      bytes = 8;
      break;
    case 2: {
      field_.type = WireType::kBytes;
      ASSIGN_OR_RETURN(bytes, ReadVarint());
      break;
    }
    case 5:
      field_.type = WireType::kFixed32;
      bytes = 4;
      break;
    default:
      return Corrupt(field_.offset, fmt::format("field {} has the wire type {}, which ONNX does "
                                                "not use",
                                                number, tag & 7));
  }
  if (bytes > end_ - offset_ && is_file_) {
    return CutOff(end_, CheckedAdd(offset_, bytes).value_or(UINT64_MAX));
  }
  if (bytes > end_ - offset_) {
    return Corrupt(field_.offset, fmt::format("field {} has {} bytes, of which {} are there: it "
                                              "is cut off",
                                              number, bytes, end_ - offset_));
  }
  field_.content = {offset_, offset_ + bytes};
  offset_ += bytes;
  return OkStatus();
}

StatusOr<uint64_t> WireMessage::ReadVarint() {
  ASSIGN_OR_RETURN(const auto bytes, source_.Peek(offset_, end_, kMaxVarintBytes));
  if (is_file_ && bytes.size() < kMaxVarintBytes &&
      std::all_of(bytes.begin(), bytes.end(),
                  [](std::byte byte) { return (byte & std::byte{0x80}) != std::byte{0}; })) {
    return CutOffWithin(end_, "a number");
  }
  return DecodeVarint(bytes, offset_);
}

Status ReadContent(WireSource& source, WireSpan content, std::string& text) {
  text.clear();
  text.reserve(content.size());
  for (uint64_t offset = content.begin; offset < content.end;) {
    ASSIGN_OR_RETURN(const auto bytes, source.Peek(offset, content.end, 1));
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    offset += bytes.size();
  }
  return OkStatus();
}

Status ReadPackedVarints(WireSource& source, WireSpan content, size_t max_values,
                         std::vector<uint64_t>& values) {
  for (uint64_t offset = content.begin; offset < content.end;) {
    if (values.size() == max_values) {
      return AtOffset(Error(ErrorCode::kUnsupportedFormat,
                            fmt::format("a list has more than {} numbers", max_values)),
                      content.begin);
    }
    ASSIGN_OR_RETURN(const auto bytes, source.Peek(offset, content.end, kMaxVarintBytes));
    ASSIGN_OR_RETURN(const uint64_t value, DecodeVarint(bytes, offset));
    values.push_back(value);
  }
  return OkStatus();
}

StatusOr<uint64_t> CountPackedVarints(WireSource& source, WireSpan content) {
  uint64_t count = 0;
  uint64_t begin = content.begin;  // of the number at hand
  for (uint64_t offset = content.begin; offset < content.end;) {
    ASSIGN_OR_RETURN(const auto bytes, source.Peek(offset, content.end, 1));
    for (const std::byte byte : bytes) {
      ++offset;
      if ((byte & std::byte{0x80}) == std::byte{0}) {
        ++count;
        begin = offset;
      } else if (offset - begin == kMaxVarintBytes) {
        return Corrupt(begin, "a number has more than 64 bits");
      }
    }
  }
  if (begin != content.end) return Corrupt(begin, "a number is cut off");
  return count;
}

}  // namespace warmset

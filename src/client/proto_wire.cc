#include "client/proto_wire.h"

namespace warmset::inline client_v1::client_internal {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

// RFC 3629: shortest form, no surrogates, at most U+10FFFF.
bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) -> unsigned { return static_cast<unsigned char>(text[at]); };
    const unsigned first = byte(i);
    const size_t more = first < 0x80                    ? 0
                        : first >= 0xC2 && first < 0xE0 ? 1
                        : first >= 0xE0 && first < 0xF0 ? 2
                        : first >= 0xF0 && first < 0xF5 ? 3
                                                        : 4;
    if (more == 4 || text.size() - i <= more) return false;
    for (size_t k = 1; k <= more; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    if ((first == 0xE0 && byte(i + 1) < 0xA0) || (first == 0xED && byte(i + 1) >= 0xA0) ||
        (first == 0xF0 && byte(i + 1) < 0x90) || (first == 0xF4 && byte(i + 1) >= 0x90)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

bool TakeVarint(std::string_view& rest, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

}  // namespace

void ProtoWriter::Varint(uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

void ProtoWriter::Bytes(uint32_t field, std::string_view bytes) {
  Varint(uint64_t{field} << 3 | kLengthDelimited);
  Varint(bytes.size());
  out_.append(bytes);
}

void ProtoWriter::Uint(uint32_t field, uint64_t value) {
  if (value == 0) return;
  Varint(uint64_t{field} << 3 | kVarint);
  Varint(value);
}

void ProtoWriter::String(uint32_t field, std::string_view text) {
  if (!text.empty()) RepeatedString(field, text);
}

void ProtoWriter::RepeatedString(uint32_t field, std::string_view text) {
  if (IsUtf8(text)) return Bytes(field, text);
  std::string ascii(text);
  for (char& c : ascii) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  Bytes(field, ascii);
}

void ProtoWriter::PackedUints(uint32_t field, std::span<const uint64_t> values) {
  if (values.empty()) return;
  ProtoWriter packed;
  for (const uint64_t value : values) packed.Varint(value);
  Bytes(field, packed.out_);
}

void ProtoWriter::Message(uint32_t field, const ProtoWriter& message) {
  Bytes(field, message.out_);
}

bool DecodePackedUints(std::string_view packed, std::vector<uint64_t>& values) {
  while (!packed.empty()) {
    if (!TakeVarint(packed, values.emplace_back())) return false;
  }
  return true;
}

bool ProtoReader::ReadVarint(uint64_t& value) { return TakeVarint(rest_, value); }

bool ProtoReader::Take(uint64_t count, std::string_view& taken) {
  if (count > rest_.size()) return false;
  taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return true;
}

bool ProtoReader::ReadField() {
  uint64_t tag = 0;
  if (!ReadVarint(tag) || tag >> 3 == 0 || tag > UINT32_MAX) return false;
  field_ = static_cast<uint32_t>(tag >> 3);
  uint64_t length = 0;
  std::string_view skipped;
  switch (tag & 7) {
    case kVarint:
      return ReadVarint(uint_value_);
    case kLengthDelimited:
      return ReadVarint(length) && Take(length, bytes_);
    case kFixed64:
      return Take(8, skipped);
    case kFixed32:
      return Take(4, skipped);
    default:
      return false;
  }
}

bool ProtoReader::Next() {
  uint_value_ = 0;
  bytes_ = {};
  if (!ok_ || rest_.empty()) return false;
  ok_ = ReadField();
  return ok_;
}

}  // namespace warmset::inline client_v1::client_internal

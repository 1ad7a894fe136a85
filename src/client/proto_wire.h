// Just enough of protobuf's wire format to speak to the daemon without the
// library, whose versions clash in programs that bring their own.
// Source: protobuf's encoding specification.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warmset::inline client_v1::client_internal {

// Writes the fields of one message, in the order of the calls. As in proto3, a
// singular field with its default value takes no bytes.
class ProtoWriter {
 public:
  void Uint(uint32_t field, uint64_t value);
  // Bytes that are not UTF-8 would make the daemon reject the message; such text
  // is written with '?' in place of all that is not ASCII.
  void String(uint32_t field, std::string_view text);
  void RepeatedString(uint32_t field, std::string_view text);
  void PackedUints(uint32_t field, std::span<const uint64_t> values);
  void Message(uint32_t field, const ProtoWriter& message);

  const std::string& data() const { return out_; }

 private:
  void Varint(uint64_t value);
  void Bytes(uint32_t field, std::string_view bytes);

  std::string out_;
};

// Adds the values of a packed field; false where it is broken.
bool DecodePackedUints(std::string_view packed, std::vector<uint64_t>& values);

// Reads the fields of a message that may be anything:
//   while (reader.Next()) switch (reader.field()) { ... }
//   if (!reader.ok()) ...
// The message must outlive the reader and the views it returns.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}

  // False at the end, or where the message is broken.
  bool Next();
  bool ok() const { return ok_; }

  uint32_t field() const { return field_; }
  // The value; 0 or empty when the field is of another wire type.
  uint64_t uint_value() const { return uint_value_; }
  std::string_view bytes() const { return bytes_; }
  std::string string() const { return std::string(bytes_); }

 private:
  bool ReadVarint(uint64_t& value);
  bool Take(uint64_t count, std::string_view& taken);
  bool ReadField();

  std::string_view rest_;
  bool ok_ = true;
  uint32_t field_ = 0;
  uint64_t uint_value_ = 0;
  std::string_view bytes_;
};

}  // namespace warmset::inline client_v1::client_internal

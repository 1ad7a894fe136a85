// Reading and writing little-endian binary data that may come from anywhere.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace warmset {

static_assert(std::endian::native == std::endian::little,
              "ByteReader and ByteWriter copy native integers");

// a*b and a+b, or nothing when the result would not fit.
constexpr std::optional<uint64_t> CheckedMultiply(uint64_t a, uint64_t b) {
  uint64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}
constexpr std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

// Consumes a span front to back and never reads past it. Every failed read
// returns kCorruptedModel with the offset and leaves the position unchanged.
// Not thread-safe; the span must outlive the reader and what it returned.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> data) : data_(data) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return data_.size() - offset_; }

  template <std::integral T>
  StatusOr<T> Read() {
    ASSIGN_OR_RETURN(const std::span<const std::byte> raw, ReadBytes(sizeof(T)));
    T value;
    std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }

  StatusOr<std::span<const std::byte>> ReadBytes(uint64_t count);
  // A u32 length and that many bytes; a length above max_bytes is an error.
  StatusOr<std::string_view> ReadString(uint64_t max_bytes);

 private:
  std::span<const std::byte> data_;
  uint64_t offset_ = 0;
};

// Appends to a string what ByteReader reads.
class ByteWriter {
 public:
  void Reserve(size_t bytes) { out_.reserve(bytes); }
  template <std::integral T>
  void Write(T value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    out_.append(raw, sizeof raw);
  }
  void WriteBytes(std::span<const std::byte> data) {
    out_.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  // REQUIRES: text is shorter than 4 GiB.
  void WriteString(std::string_view text) {
    Write(static_cast<uint32_t>(text.size()));
    out_.append(text);
  }

  const std::string& data() const { return out_; }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace warmset

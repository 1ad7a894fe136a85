// How readers see a file: bytes at offsets, never more than there are.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/strong.h"

namespace warmset {

// Not thread-safe.
class ByteSource {
 public:
  // is_part: its bytes are a part of a file, so that its end is not the file's.
  explicit ByteSource(uint64_t size, bool is_part = false) : size_(size), is_part_(is_part) {}
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  uint64_t size() const { return size_; }
  bool is_part() const { return is_part_; }
  // Fills the buffer; kCorruptedModel, with the offset, when the file ends before.
  Status Read(uint64_t offset, std::span<std::byte> buffer);

 private:
  // REQUIRES: [offset, offset + buffer.size()) lies within size().
  virtual Status ReadInside(uint64_t offset, std::span<std::byte> buffer) = 0;

  const uint64_t size_;
  const bool is_part_;
};

// An open file, which stays the caller's and must outlive the source. size: as it
// was sighted; a file that is shorter by now gives errors.
class FileSource final : public ByteSource {
 public:
  FileSource(int fd, uint64_t size) : ByteSource(size), fd_(fd) {}

 private:
  Status ReadInside(uint64_t offset, std::span<std::byte> buffer) override;
  const int fd_;
};

// Bytes in memory, which must outlive the source: of tests and fuzzers, and of
// files within files.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes, bool is_part = false)
      : ByteSource(bytes.size(), is_part), bytes_(bytes) {}

 private:
  Status ReadInside(uint64_t offset, std::span<std::byte> buffer) override;
  const std::span<const std::byte> bytes_;
};

// A part of another source, which must outlive it: an entry of an archive.
// REQUIRES: [begin, begin + size) lies within the other.
class SourcePart final : public ByteSource {
 public:
  SourcePart(ByteSource& whole, uint64_t begin, uint64_t size)
      : ByteSource(size, /*is_part=*/true), whole_(whole), begin_(begin) {}

 private:
  Status ReadInside(uint64_t offset, std::span<std::byte> buffer) override;
  ByteSource& whole_;
  const uint64_t begin_;
};

// [offset, offset + bytes) as text. The caller has bounded bytes.
StatusOr<std::string> ReadText(ByteSource& source, uint64_t offset, uint64_t bytes);

// Reads a source front to back through a window, so that small reads cost no
// system call each. Never reads past `end`. A read that fails there gives, with the
// offset, kIncompleteModel where the file itself ends and kCorruptedModel elsewhere,
// and leaves the position unchanged. Not thread-safe; the source must outlive it.
class SourceReader {
 public:
  explicit SourceReader(ByteSource& source, uint64_t begin = 0)
      : SourceReader(source, begin, source.size()) {}
  // REQUIRES: begin <= end <= source.size().
  SourceReader(ByteSource& source, uint64_t begin, uint64_t end)
      : source_(source), offset_(begin), end_(end) {}

  // Offsets count from the start of the source.
  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return end_ - offset_; }

  // A little-endian integer or float.
  template <typename T>
    requires std::integral<T> || std::floating_point<T>
  StatusOr<T> Read() {
    ASSIGN_OR_RETURN(const std::span<const std::byte> raw, Take(sizeof(T)));
    T value;
    std::memcpy(&value, raw.data(), sizeof value);
    return value;
  }
  // bytes of text or data; more than max_bytes is an error too.
  StatusOr<std::string> ReadString(uint64_t bytes, uint64_t max_bytes);
  Status Skip(uint64_t bytes);

 private:
  static constexpr size_t kWindowBytes = 64 * kKiB;

  // The next bytes, valid until the next call. REQUIRES: bytes <= kWindowBytes.
  StatusOr<std::span<const std::byte>> Take(size_t bytes);
  Status CheckRemaining(uint64_t bytes) const;

  ByteSource& source_;
  uint64_t offset_;
  const uint64_t end_;
  std::unique_ptr<std::byte[]> window_;  // kWindowBytes, from the first read on
  uint64_t window_begin_ = 0;
  size_t window_bytes_ = 0;
};

}  // namespace warmset

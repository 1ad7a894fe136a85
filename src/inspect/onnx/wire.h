// Walks protobuf messages where they lie in a file, without building them in memory.
// Encoding: https://protobuf.dev/programming-guides/encoding/
//
// What a field holds is never read until it is asked for, so stepping over a
// gigabyte of weights costs one read of the next field's first bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "inspect/byte_source.h"

namespace warmset {

// A stretch of the file, of a message or of a field's content.
struct WireSpan {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t size() const { return end - begin; }

  friend bool operator==(const WireSpan&, const WireSpan&) = default;
};

// Small reads at rising offsets, and now and then a jump, through one window: it
// is small after a jump and grows while reads follow each other. Not thread-safe;
// the source must outlive it.
class WireSource {
 public:
  explicit WireSource(ByteSource& file) : file_(file) {}

  uint64_t size() const { return file_.size(); }
  // The bytes from offset on, at least `wanted`, else to the end; valid until the
  // next call. REQUIRES: offset <= end <= size(), wanted <= kMaxWindowBytes.
  StatusOr<std::span<const std::byte>> Peek(uint64_t offset, uint64_t end, size_t wanted);

  // Counts a field that is walked over; kUnsupportedFormat when there are so many
  // that a file can't mean well: what bounds the time that one file may take.
  Status CountField();

  static constexpr size_t kMaxWindowBytes = 64 * kKiB;

 private:
  static constexpr size_t kMinWindowBytes = 4 * kKiB;
  static constexpr uint64_t kMaxFields = 64'000'000;

  ByteSource& file_;
  std::unique_ptr<std::byte[]> window_;  // kMaxWindowBytes, from the first read on
  uint64_t window_begin_ = 0;
  size_t window_bytes_ = 0;
  size_t next_bytes_ = kMinWindowBytes;
  uint64_t fields_ = 0;
};

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t offset = 0;  // of its tag
  uint64_t value = 0;   // of a varint
  WireSpan content;     // of all other types: where the value lies

  bool Is(uint32_t other_number, WireType other_type) const {
    return number == other_number && type == other_type;
  }
};

// The fields of one message, front to back:
//   WireMessage message(source, span);
//   while (message.Next()) Use(message.field());
//   RETURN_IF_ERROR(message.status());
// An error ends the walk, with its offset: kIncompleteModel where the file ends within a
// field, kCorruptedModel mostly. Groups, which
// protobuf has given up and ONNX never had, are one. The source must outlive it.
class WireMessage {
 public:
  // REQUIRES: the span lies within the source.
  WireMessage(WireSource& source, WireSpan span)
      : source_(source),
        offset_(span.begin),
        end_(span.end),
        is_file_(span.begin == 0 && span.end == source.size()) {}

  // False at the end, and after an error.
  bool Next();
  const WireField& field() const { return field_; }
  const Status& status() const { return status_; }

 private:
  Status ReadField();
  StatusOr<uint64_t> ReadVarint();

  WireSource& source_;
  uint64_t offset_;
  const uint64_t end_;
  const bool is_file_;  // its end is the file's
  WireField field_;
  Status status_;
};

// The content of a field as text or data; the caller has bounded its size.
Status ReadContent(WireSource& source, WireSpan content, std::string& text);

// Packed varints, appended to `values`; more than max_values is kUnsupportedFormat.
Status ReadPackedVarints(WireSource& source, WireSpan content, size_t max_values,
                         std::vector<uint64_t>& values);

// How many packed varints there are; reads all of the content.
StatusOr<uint64_t> CountPackedVarints(WireSource& source, WireSpan content);

}  // namespace warmset

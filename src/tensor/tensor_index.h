// The table that says where in a component's memory each tensor lies.
//
// One flat, position-independent blob: the catalog stores it, the daemon hands
// it to clients in a sealed memfd, the worker rewrites its offsets for a
// device's layout. Nobody parses text to attach a model. The format is defined
// in docs/formats/tensor-index.md; kTensorIndexVersion says when it changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_reader.h"
#include "base/status.h"
#include "tensor/dtype.h"

namespace warmset {

inline constexpr uint32_t kTensorIndexMagic = 0x58495357;  // "WSIX"
inline constexpr uint16_t kTensorIndexVersion = 1;
inline constexpr size_t kMaxTensorRank = 64;

// One tensor: elements in row-major order, `bytes` bytes at `offset` from the
// start of the component's memory.
struct TensorEntry {
  std::string name;
  DType dtype = DType::kInvalid;
  std::vector<uint64_t> shape;
  uint64_t offset = 0;
  uint64_t bytes = 0;

  friend bool operator==(const TensorEntry&, const TensorEntry&) = default;
};

// Serialises tensors, in the order they are added, and the file's metadata.
// REQUIRES: names and metadata together are below 4 GiB, ranks <= 64.
class TensorIndexBuilder {
 public:
  TensorIndexBuilder();
  // Room for so many, so that a large index is not copied while it grows.
  void Reserve(size_t tensors, size_t dims, size_t name_bytes);
  void Add(std::string_view name, DType dtype, std::span<const uint64_t> shape, uint64_t offset,
           uint64_t bytes);
  // The encoded index; call it last.
  std::string Finish(const std::map<std::string, std::string>& metadata, uint64_t data_bytes) &&;

 private:
  uint32_t AddString(std::string_view text);

  ByteWriter blob_;  // room for the header, and the records so far
  ByteWriter dims_;
  std::string strings_;
  uint64_t tensor_count_ = 0;
  uint32_t dims_count_ = 0;
};

// The same for tensors that are all at hand.
std::string EncodeTensorIndex(std::span<const TensorEntry> tensors,
                              const std::map<std::string, std::string>& metadata,
                              uint64_t data_bytes);

// A view of an encoded index, validated as a whole by Parse: afterwards every
// access is in bounds and every tensor lies inside data_bytes(). The blob must
// outlive the view. Immutable, so thread-safe.
class TensorIndex {
 public:
  // kCorruptedModel with the offset of what is wrong.
  static StatusOr<TensorIndex> Parse(std::span<const std::byte> blob);

  uint64_t tensor_count() const { return tensor_count_; }
  // Bytes of the component's memory.
  uint64_t data_bytes() const { return data_bytes_; }
  // REQUIRES: i < tensor_count().
  TensorEntry tensor(uint64_t i) const;
  std::map<std::string, std::string> metadata() const;
  // Bytes of tensors by dtype name.
  std::map<std::string, uint64_t> dtype_bytes() const;

 private:
  friend class TensorIndexBuilder;
  struct Record;
  Record RecordAt(uint64_t i) const;

  std::span<const std::byte> blob_;
  uint64_t tensor_count_ = 0;
  uint64_t metadata_count_ = 0;
  uint64_t data_bytes_ = 0;
  uint64_t dims_offset_ = 0;
  uint64_t dims_count_ = 0;
  uint64_t metadata_offset_ = 0;
  uint64_t strings_offset_ = 0;
  uint64_t strings_bytes_ = 0;
};

}  // namespace warmset

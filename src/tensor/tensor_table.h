// The tensors that a reader found in a model's files, kept compactly: a header
// may list a million of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "tensor/dtype.h"

namespace warmset {

// Whether a tensor can be handed out as it lies in its file.
enum class TensorStorage : uint8_t {
  kContiguous = 0,  // `bytes` bytes at `offset`, elements in row-major order
  kStrided = 1,     // elements lie by `strides` within [offset, offset + bytes)
  kEncoded = 2,     // not stored as plain elements: packed fields, text, compressed
};

// One tensor. What it refers to belongs to whoever made it: the table, as long
// as it does not change, or the caller of TensorTable::Add().
struct TensorView {
  std::string_view name;
  DType dtype = DType::kInvalid;
  std::span<const uint64_t> shape;   // outermost first
  std::span<const int64_t> strides;  // in elements, for kStrided only
  TensorStorage storage = TensorStorage::kContiguous;
  uint32_t file = 0;    // which file of the reader's its bytes lie in, see FileContents
  uint64_t offset = 0;  // of its bytes in that file
  uint64_t bytes = 0;
};

// Movable; const methods are thread-safe.
class TensorTable {
 public:
  // Room for so many, so that a large table is not copied while it grows.
  void Reserve(size_t tensors, size_t dims, size_t name_bytes);

  // kUnsupportedFormat for a rank above kMaxTensorRank, or when all names together
  // reach 4 GiB; then the table is as before. REQUIRES: as many strides as dims,
  // or none.
  Status Add(const TensorView& tensor);

  // Adds to every tensor's offset. REQUIRES: none leaves 64 bits.
  void ShiftOffsets(uint64_t bytes);

  size_t size() const { return records_.size(); }
  // Of all tensors, strides included.
  size_t dims() const { return dims_.size(); }
  size_t name_bytes() const { return names_.size(); }
  bool empty() const { return records_.empty(); }
  // REQUIRES: i < size().
  TensorView operator[](size_t i) const;

  // By file and offset; those of the same place by bytes and name. Costs nothing
  // when they are in that order already.
  void SortByPlace();

  // The place in the table of a tensor whose name an earlier one has.
  std::optional<size_t> FindDuplicateName() const;

 private:
  struct Record {
    uint32_t name_offset;
    uint32_t name_bytes;
    uint32_t first_dim;  // the strides, if there are any, follow the dims
    DType dtype;
    uint8_t rank;
    TensorStorage storage;
    uint32_t file;
    uint64_t offset;
    uint64_t bytes;
  };
  std::string_view NameOf(const Record& record) const {
    return std::string_view(names_).substr(record.name_offset, record.name_bytes);
  }
  bool InPlaceOrder(const Record& a, const Record& b) const;

  std::vector<Record> records_;
  std::vector<uint64_t> dims_;
  std::string names_;
};

}  // namespace warmset

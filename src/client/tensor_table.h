// The client's reader of the tensor index (docs/formats/tensor-index.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "warmset/model.h"

namespace warmset::inline client_v1::client_internal {

struct TensorRecord {
  std::string_view name;
  DType dtype = DType::kInvalid;
  std::span<const uint64_t> shape;
  uint64_t offset = 0;  // in the component's memory
  uint64_t bytes = 0;
};

// A component's tensors, all inside its memory. Immutable once read; does not
// move, as its records point into it.
class TensorTable {
 public:
  // Takes an index that may be anything, of a component with that many bytes of
  // memory. Returns what is wrong with it: nothing when all is well.
  std::optional<ClientError> Read(std::vector<std::byte> blob, uint64_t memory_bytes);

  TensorTable() = default;
  TensorTable(const TensorTable&) = delete;
  TensorTable& operator=(const TensorTable&) = delete;

  std::span<const TensorRecord> records() const { return records_; }
  // Null when there is none.
  const TensorRecord* Find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  std::span<const std::byte> blob() const { return blob_; }

 private:
  std::vector<std::byte> blob_;
  std::vector<uint64_t> dims_;
  std::vector<TensorRecord> records_;
  // Made at the first search: it would take a third of an attach of 1000 tensors, and who
  // goes through them all needs none.
  mutable std::once_flag named_;
  mutable std::unordered_map<std::string_view, size_t> by_name_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace warmset::inline client_v1::client_internal

// Reads TensorProto messages: what a tensor is, and where its bytes lie.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "inspect/onnx/data_types.h"
#include "inspect/onnx/external_data.h"
#include "inspect/onnx/read_state.h"
#include "inspect/onnx/wire.h"
#include "tensor/tensor_table.h"

namespace warmset::onnx {

// A TensorProto without its values.
struct TensorInfo {
  std::string name;
  int32_t data_type = 0;
  std::vector<uint64_t> shape;
  TensorStorage storage = TensorStorage::kContiguous;
  uint32_t file = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

// Not thread-safe; what it is made of must outlive it.
class TensorReader {
 public:
  TensorReader(WireSource& source, ExternalData& external, Problems& problems)
      : source_(source), external_(external), problems_(problems) {}

  // True when the tensor can be listed. What is wrong with it is noted, under its
  // own name or else `label`; an error is what ends the reading.
  StatusOr<bool> Read(WireSpan message, std::string_view label, TensorInfo& info);

 private:
  // Values of one of the repeated fields: where they lie if they follow each other.
  struct Values {
    uint64_t entries = 0;
    uint32_t runs = 0;
    WireSpan last_run;
  };
  struct Message;

  Status Parse(WireSpan span, Message& message, TensorInfo& info);
  Status ParseExternalEntry(WireSpan span, Message& message);
  Status AddDim(uint64_t dim, TensorInfo& info);
  // A packed or single field of values of entry_bytes each.
  Status AddFixed(const WireField& field, uint64_t entry_bytes, Values& values);
  Status AddVarints(const WireField& field, Values& values);
  Status Place(const Message& message, TensorInfo& info);
  Status PlaceExternal(const Message& message, const DataType& type, uint64_t expected_bytes,
                       TensorInfo& info);

  WireSource& source_;
  ExternalData& external_;
  Problems& problems_;
  uint64_t bytes_to_count_ = uint64_t{256} << 20;
};

}  // namespace warmset::onnx

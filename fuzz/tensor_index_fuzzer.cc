// A tensor index, read by the daemon's reader and by the client's, which share no
// code and must agree.
#include <algorithm>
#include <set>

#include "client/tensor_table.h"
#include "fuzz/fuzzer.h"
#include "tensor/tensor_index.h"

using namespace warmset;

namespace {

bool SameTensor(const TensorEntry& ours, const client_internal::TensorRecord& theirs) {
  return ours.name == theirs.name && ours.dtype == theirs.dtype && ours.offset == theirs.offset &&
         ours.bytes == theirs.bytes && std::ranges::equal(ours.shape, theirs.shape);
}

}  // namespace

std::vector<std::string> Seeds() {
  const std::vector<TensorEntry> tensors = {{"a", DType::kF32, {2, 3}, 0, 24},
                                            {"scalar", DType::kBF16, {}, 24, 2},
                                            {"empty", DType::kI64, {0, 7}, 26, 0}};
  return {EncodeTensorIndex(tensors, {{"format", "pt"}, {"", ""}}, 64),
          EncodeTensorIndex({}, {}, 0)};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto blob = Bytes(data, size);
  const auto index = TensorIndex::Parse(blob);
  client_internal::TensorTable table;
  // A client knows the memory's size from the daemon; here only the index tells it.
  const uint64_t memory_bytes = index.ok() ? index->data_bytes() : UINT64_MAX;
  const bool accepted = !table.Read({blob.begin(), blob.end()}, memory_bytes).has_value();
  if (!index.ok()) {
    Promise(!accepted, "a client reads no index that the daemon would not");
    return 0;
  }
  (void)index->metadata();
  (void)index->dtype_bytes();
  std::set<std::string> names;
  for (uint64_t i = 0; i < index->tensor_count(); ++i) {
    const TensorEntry tensor = index->tensor(i);
    names.insert(tensor.name);
    Promise(tensor.offset <= index->data_bytes() &&
                tensor.bytes <= index->data_bytes() - tensor.offset,
            "a tensor lies inside the memory");
    Promise(!accepted || SameTensor(tensor, table.records()[i]), "both read the same tensor");
  }
  Promise(accepted || names.size() < index->tensor_count(),
          "a client reads every index whose names are unique");
  Promise(!accepted || table.metadata() == index->metadata(), "both read the same metadata");
  return 0;
}

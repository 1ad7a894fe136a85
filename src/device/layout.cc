#include "device/layout.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/byte_reader.h"
#include "base/strong.h"

namespace warmset {

StatusOr<DeviceLayout> ComputeLayout(const TensorIndex& entry) {
  std::vector<TensorEntry> tensors;
  tensors.reserve(entry.tensor_count());
  for (uint64_t i = 0; i < entry.tensor_count(); ++i) tensors.push_back(entry.tensor(i));

  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto extent = [&](size_t i) { return std::pair(tensors[i].offset, tensors[i].bytes); };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return extent(a) < extent(b); });

  DeviceLayout layout;
  LayoutCopy last;  // the previous tensor's, before joining
  uint64_t end = 0;
  for (const size_t i : order) {
    TensorEntry& tensor = tensors[i];
    if (tensor.bytes == 0) {
      tensor.offset = 0;
      continue;
    }
    if (last.bytes == tensor.bytes && last.from == tensor.offset) {
      tensor.offset = last.to;
      continue;
    }
    const uint64_t start = AlignUp(end, kTensorAlignment);
    if (start < end || !CheckedAdd(start, tensor.bytes)) {
      return Error(ErrorCode::kCorruptedModel, "the tensors together exceed 64 bits of size");
    }
    last = {tensor.offset, start, tensor.bytes};
    end = start + tensor.bytes;
    tensor.offset = last.to;
    LayoutCopy* open = layout.copies.empty() ? nullptr : &layout.copies.back();
    if (open != nullptr && open->from + open->bytes == last.from &&
        open->to + open->bytes == last.to) {
      open->bytes += last.bytes;
    } else {
      layout.copies.push_back(last);
    }
  }
  layout.bytes = std::max<uint64_t>(end, 1);
  layout.index = EncodeTensorIndex(tensors, entry.metadata(), layout.bytes);
  return layout;
}

}  // namespace warmset

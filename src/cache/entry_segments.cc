#include "cache/entry_segments.h"

#include <algorithm>

#include "codec/stream_format.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

// Appends [begin, end) of one dtype, in pieces that hold whole elements.
void Append(uint64_t begin, uint64_t end, DType dtype, std::vector<EntrySegment>& segments) {
  while (begin < end) {
    EntrySegment* last = segments.empty() ? nullptr : &segments.back();
    if (last == nullptr || last->dtype != dtype || last->bytes == kMaxSegmentBytes) {
      last = &segments.emplace_back(EntrySegment{begin, 0, dtype});
    }
    const uint64_t more = std::min(end - begin, kMaxSegmentBytes - last->bytes);
    last->bytes += more;
    begin += more;
  }
}

}  // namespace

StatusOr<std::vector<EntrySegment>> DivideEntry(const ComponentManifest& component) {
  ASSIGN_OR_RETURN(const TensorIndex index, TensorIndex::Parse(AsBytes(component.tensor_index)));
  std::vector<EntrySegment> tensors;
  tensors.reserve(index.tensor_count());
  for (uint64_t i = 0; i < index.tensor_count(); ++i) {
    const TensorEntry tensor = index.tensor(i);
    if (tensor.bytes > 0) tensors.push_back({tensor.offset, tensor.bytes, tensor.dtype});
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const EntrySegment& a, const EntrySegment& b) { return a.begin < b.begin; });

  std::vector<EntrySegment> segments;
  uint64_t at = 0;
  for (const EntrySegment& tensor : tensors) {
    // Tensors may share bytes: what an earlier one covers is its own.
    const uint64_t begin = std::max(at, tensor.begin);
    const uint64_t element = codec::StorageBytes(tensor.dtype);
    const uint64_t end = tensor.begin + tensor.bytes;
    if (end <= begin) continue;
    Append(at, begin, DType::kInvalid, segments);
    const bool whole = element > 0 && (end - begin) % element == 0;
    Append(begin, end, whole ? tensor.dtype : DType::kInvalid, segments);
    at = end;
  }
  Append(at, component.entry_bytes, DType::kInvalid, segments);
  return segments;
}

}  // namespace warmset

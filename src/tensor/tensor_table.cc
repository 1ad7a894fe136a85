#include "tensor/tensor_table.h"

#include <algorithm>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "fmt/format.h"
#include "tensor/tensor_index.h"

namespace warmset {

void TensorTable::Reserve(size_t tensors, size_t dims, size_t name_bytes) {
  records_.reserve(tensors);
  dims_.reserve(dims);
  names_.reserve(name_bytes);
}

Status TensorTable::Add(const TensorView& tensor) {
  if (tensor.shape.size() > kMaxTensorRank) {
    return Error(ErrorCode::kUnsupportedFormat,
                 fmt::format("tensor '{}' has {} dimensions; at most {} are supported", tensor.name,
                             tensor.shape.size(), kMaxTensorRank));
  }
  if (tensor.name.size() > UINT32_MAX - names_.size() || dims_.size() > UINT32_MAX) {
    return Error(ErrorCode::kUnsupportedFormat, "the names of its tensors take 4 GiB or more");
  }
  records_.push_back({.name_offset = static_cast<uint32_t>(names_.size()),
                      .name_bytes = static_cast<uint32_t>(tensor.name.size()),
                      .first_dim = static_cast<uint32_t>(dims_.size()),
                      .dtype = tensor.dtype,
                      .rank = static_cast<uint8_t>(tensor.shape.size()),
                      .storage = tensor.storage,
                      .file = tensor.file,
                      .offset = tensor.offset,
                      .bytes = tensor.bytes});
  names_.append(tensor.name);
  dims_.insert(dims_.end(), tensor.shape.begin(), tensor.shape.end());
  if (tensor.storage == TensorStorage::kStrided) {
    for (const int64_t stride : tensor.strides) dims_.push_back(static_cast<uint64_t>(stride));
  }
  return OkStatus();
}

void TensorTable::ShiftOffsets(uint64_t bytes) {
  for (Record& record : records_) record.offset += bytes;
}

TensorView TensorTable::operator[](size_t i) const {
  const Record& record = records_[i];
  TensorView tensor;
  tensor.name = NameOf(record);
  tensor.dtype = record.dtype;
  tensor.shape = std::span(dims_).subspan(record.first_dim, record.rank);
  if (record.storage == TensorStorage::kStrided) {
    // Signed and unsigned values of one width may share memory.
    tensor.strides = {
        reinterpret_cast<const int64_t*>(dims_.data() + record.first_dim + record.rank),
        record.rank};
  }
  tensor.storage = record.storage;
  tensor.file = record.file;
  tensor.offset = record.offset;
  tensor.bytes = record.bytes;
  return tensor;
}

bool TensorTable::InPlaceOrder(const Record& a, const Record& b) const {
  const auto place = [](const Record& r) { return std::tie(r.file, r.offset, r.bytes); };
  return place(a) != place(b) ? place(a) < place(b) : NameOf(a) < NameOf(b);
}

void TensorTable::SortByPlace() {
  const auto before = [this](const Record& a, const Record& b) { return InPlaceOrder(a, b); };
  if (std::is_sorted(records_.begin(), records_.end(), before)) return;
  std::sort(records_.begin(), records_.end(), before);
}

std::optional<size_t> TensorTable::FindDuplicateName() const {
  const auto name = [this](uint32_t i) { return NameOf(records_[i]); };
  const auto hash = [&](uint32_t i) { return std::hash<std::string_view>{}(name(i)); };
  const auto equal = [&](uint32_t a, uint32_t b) { return name(a) == name(b); };
  absl::flat_hash_set<uint32_t, decltype(hash), decltype(equal)> seen(0, hash, equal);
  seen.reserve(records_.size());
  for (uint32_t i = 0; i < records_.size(); ++i) {
    if (!seen.insert(i).second) return i;
  }
  return std::nullopt;
}

}  // namespace warmset

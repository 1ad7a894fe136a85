#include "tensor/tensor_table.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <tuple>
#include <utility>

#include "fmt/format.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

// Sorts numbers whose upper bits are as good as random: first into buckets by
// those, then each in the processor's cache.
void SortEvenlySpread(std::vector<uint64_t>& numbers) {
  constexpr int kBucketBits = 12;
  const auto bucket = [](uint64_t number) { return number >> (64 - kBucketBits); };
  std::vector<uint32_t> ends(size_t{1} << kBucketBits);
  for (const uint64_t number : numbers) ++ends[bucket(number)];
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<uint64_t> sorted(numbers.size());
  std::vector<uint32_t> free = ends;  // from the end of each bucket to its start
  for (const uint64_t number : numbers) sorted[--free[bucket(number)]] = number;
  for (size_t i = 0; i < ends.size(); ++i) {
    std::sort(sorted.begin() + free[i], sorted.begin() + ends[i]);
  }
  numbers = std::move(sorted);
}

}  // namespace

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
  // Half a hash and the place of each, sorted: that goes through memory in order,
  // where a hash set of a million names would jump about in it.
  std::vector<uint64_t> keys(records_.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint64_t hash = std::hash<std::string_view>{}(NameOf(records_[i]));
    keys[i] = (hash & ~uint64_t{UINT32_MAX}) | i;
  }
  SortEvenlySpread(keys);
  const auto name = [this](uint64_t key) { return NameOf(records_[key & UINT32_MAX]); };
  for (auto begin = keys.begin(); begin != keys.end();) {
    const auto end = std::find_if(
        begin, keys.end(), [&](uint64_t key) { return key >> 32 != *begin >> 32; });
    // Names that were made to share a hash must not cost more than a sort.
    std::sort(begin, end, [&](uint64_t a, uint64_t b) {
      return name(a) != name(b) ? name(a) < name(b) : a < b;
    });
    const auto twice = std::adjacent_find(
        begin, end, [&](uint64_t a, uint64_t b) { return name(a) == name(b); });
    if (twice != end) return static_cast<size_t>(*std::next(twice) & UINT32_MAX);
    begin = end;
  }
  return std::nullopt;
}

}  // namespace warmset

#include "client/tensor_table.h"

#include <cstring>
#include <utility>

#include "client/errors.h"

namespace warmset::inline client_v1::client_internal {
namespace {

constexpr uint32_t kMagic = 0x58495357;  // "WSIX"
constexpr uint16_t kVersion = 1;
constexpr uint64_t kHeaderBytes = 64;
constexpr uint64_t kRecordBytes = 32;
constexpr uint64_t kPairBytes = 16;
constexpr uint16_t kMaxRank = 64;

// REQUIRES: the value lies inside blob.
template <typename T>
T Load(std::span<const std::byte> blob, uint64_t offset) {
  T value;
  std::memcpy(&value, blob.data() + offset, sizeof value);
  return value;
}

bool Inside(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}

// Whether `count` items of `size` bytes lie inside.
bool ItemsInside(uint64_t offset, uint64_t count, uint64_t size, uint64_t limit) {
  return offset <= limit && count <= (limit - offset) / size;
}

// Nothing when they are no whole blocks, or would not fit.
std::optional<uint64_t> BytesOf(DType dtype, std::span<const uint64_t> shape) {
  const auto elements = ElementsOf(shape);
  return elements ? DTypeBytes(dtype, *elements) : std::nullopt;
}

ClientError Corrupt(std::string_view what, uint64_t offset) {
  return MakeError("corrupted_model", "the tensor index has a wrong " + std::string(what) +
                                          " at offset " + std::to_string(offset));
}

}  // namespace

std::optional<ClientError> TensorTable::Read(std::vector<std::byte> bytes, uint64_t memory_bytes) {
  blob_ = std::move(bytes);
  const std::span<const std::byte> blob = blob_;
  if (blob.size() < kHeaderBytes || Load<uint32_t>(blob, 0) != kMagic) return Corrupt("magic", 0);
  if (const auto version = Load<uint16_t>(blob, 4); version != kVersion) {
    return MakeError("version_mismatch", "tensor index version " + std::to_string(version) +
                                             ", this library knows " + std::to_string(kVersion));
  }
  if (Load<uint16_t>(blob, 6) != kHeaderBytes) return Corrupt("header size", 6);
  const auto tensors = Load<uint64_t>(blob, 8);
  const auto pairs = Load<uint64_t>(blob, 16);
  const auto data_bytes = Load<uint64_t>(blob, 24);
  const auto dims_at = Load<uint64_t>(blob, 32);
  const auto dims = Load<uint64_t>(blob, 40);
  const auto pairs_at = Load<uint64_t>(blob, 48);
  const auto strings_at = Load<uint64_t>(blob, 56);
  if (!ItemsInside(kHeaderBytes, tensors, kRecordBytes, blob.size())) {
    return Corrupt("number of tensors", 8);
  }
  if (data_bytes > memory_bytes) return Corrupt("memory size", 24);
  if (dims_at % 8 != 0 || !ItemsInside(dims_at, dims, 8, blob.size())) return Corrupt("dims", 32);
  if (!ItemsInside(pairs_at, pairs, kPairBytes, blob.size())) return Corrupt("metadata", 48);
  if (strings_at > blob.size()) return Corrupt("strings", 56);

  const std::string_view strings(reinterpret_cast<const char*>(blob.data()) + strings_at,
                                 blob.size() - strings_at);
  // The string that a u32 offset and a u32 size at `at` name.
  const auto string_at = [&](uint64_t at) -> std::optional<std::string_view> {
    const auto offset = Load<uint32_t>(blob, at);
    const auto size = Load<uint32_t>(blob, at + 4);
    if (!Inside(offset, size, strings.size())) return std::nullopt;
    return strings.substr(offset, size);
  };

  dims_.resize(dims);
  if (dims > 0) std::memcpy(dims_.data(), blob.data() + dims_at, dims * 8);
  records_.reserve(tensors);
  for (uint64_t i = 0; i < tensors; ++i) {
    const uint64_t at = kHeaderBytes + i * kRecordBytes;
    const auto name = string_at(at);
    if (!name) return Corrupt("tensor name", at);
    const auto rank = Load<uint16_t>(blob, at + 10);
    const auto first_dim = Load<uint32_t>(blob, at + 12);
    if (rank > kMaxRank || !Inside(first_dim, rank, dims)) return Corrupt("shape", at + 10);
    const TensorRecord record{*name, static_cast<DType>(Load<uint16_t>(blob, at + 8)),
                              std::span(dims_).subspan(first_dim, rank),
                              Load<uint64_t>(blob, at + 16), Load<uint64_t>(blob, at + 24)};
    if (BytesOf(record.dtype, record.shape) != record.bytes) return Corrupt("size", at + 24);
    if (!Inside(record.offset, record.bytes, data_bytes)) return Corrupt("range", at + 16);
    records_.push_back(record);
  }
  for (uint64_t i = 0; i < pairs; ++i) {
    const uint64_t at = pairs_at + i * kPairBytes;
    const auto key = string_at(at);
    const auto value = string_at(at + 8);
    if (!key || !value) return Corrupt("metadata string", at);
    metadata_.emplace(*key, *value);
  }
  return std::nullopt;
}

const TensorRecord* TensorTable::Find(std::string_view name) const {
  std::call_once(named_, [this] {
    by_name_.reserve(records_.size());
    for (size_t i = 0; i < records_.size(); ++i) by_name_.emplace(records_[i].name, i);
  });
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &records_[found->second];
}

}  // namespace warmset::inline client_v1::client_internal

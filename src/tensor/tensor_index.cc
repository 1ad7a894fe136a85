#include "tensor/tensor_index.h"

#include <array>
#include <cstring>

#include "base/digest.h"
#include "fmt/format.h"

namespace warmset {
namespace {

constexpr uint64_t kHeaderBytes = 64;
constexpr uint64_t kRecordBytes = 32;
constexpr uint64_t kMetadataRecordBytes = 16;

Status Corrupt(std::string_view what, uint64_t offset) {
  return Error(ErrorCode::kCorruptedModel,
               fmt::format("tensor index: {} at offset {}", what, offset));
}

template <typename T>
T Load(std::span<const std::byte> blob, uint64_t offset) {
  T value;
  std::memcpy(&value, blob.data() + offset, sizeof value);
  return value;
}

bool Inside(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return offset <= limit && bytes <= limit - offset;
}

}  // namespace

struct TensorIndex::Record {
  uint32_t name_offset;
  uint32_t name_bytes;
  uint16_t dtype;
  uint16_t rank;
  uint32_t first_dim;
  uint64_t offset;
  uint64_t bytes;
};

TensorIndexBuilder::TensorIndexBuilder() { blob_.WriteBytes(std::array<std::byte, kHeaderBytes>()); }

void TensorIndexBuilder::Reserve(size_t tensors, size_t dims, size_t name_bytes) {
  blob_.Reserve(kHeaderBytes + tensors * kRecordBytes + dims * sizeof(uint64_t) + name_bytes);
  dims_.Reserve(dims * sizeof(uint64_t));
  strings_.reserve(name_bytes);
}

uint32_t TensorIndexBuilder::AddString(std::string_view text) {
  const auto offset = static_cast<uint32_t>(strings_.size());
  strings_.append(text);
  return offset;
}

void TensorIndexBuilder::Add(std::string_view name, DType dtype, std::span<const uint64_t> shape,
                             uint64_t offset, uint64_t bytes) {
  const TensorIndex::Record record{.name_offset = AddString(name),
                                   .name_bytes = static_cast<uint32_t>(name.size()),
                                   .dtype = static_cast<uint16_t>(dtype),
                                   .rank = static_cast<uint16_t>(shape.size()),
                                   .first_dim = dims_count_,
                                   .offset = offset,
                                   .bytes = bytes};
  blob_.WriteBytes(std::as_bytes(std::span(&record, 1)));
  dims_.WriteBytes(std::as_bytes(shape));
  dims_count_ += static_cast<uint32_t>(shape.size());
  ++tensor_count_;
}

std::string TensorIndexBuilder::Finish(const std::map<std::string, std::string>& metadata,
                                       uint64_t data_bytes) && {
  ByteWriter pairs;
  for (const auto& [key, value] : metadata) {
    pairs.Write(AddString(key));
    pairs.Write(static_cast<uint32_t>(key.size()));
    pairs.Write(AddString(value));
    pairs.Write(static_cast<uint32_t>(value.size()));
  }

  const uint64_t dims_offset = blob_.data().size();
  const uint64_t metadata_offset = dims_offset + dims_.data().size();
  ByteWriter header;
  header.Write(kTensorIndexMagic);
  header.Write(kTensorIndexVersion);
  header.Write(static_cast<uint16_t>(kHeaderBytes));
  header.Write(tensor_count_);
  header.Write(static_cast<uint64_t>(metadata.size()));
  header.Write(data_bytes);
  header.Write(dims_offset);
  header.Write(static_cast<uint64_t>(dims_count_));
  header.Write(metadata_offset);
  header.Write(metadata_offset + static_cast<uint64_t>(pairs.data().size()));
  for (const std::string_view part :
       std::initializer_list<std::string_view>{dims_.data(), pairs.data(), strings_}) {
    blob_.WriteBytes(AsBytes(part));
  }
  std::string blob = blob_.Take();
  blob.replace(0, kHeaderBytes, header.data());
  return blob;
}

std::string EncodeTensorIndex(std::span<const TensorEntry> tensors,
                              const std::map<std::string, std::string>& metadata,
                              uint64_t data_bytes) {
  TensorIndexBuilder index;
  for (const TensorEntry& tensor : tensors) {
    index.Add(tensor.name, tensor.dtype, tensor.shape, tensor.offset, tensor.bytes);
  }
  return std::move(index).Finish(metadata, data_bytes);
}

StatusOr<TensorIndex> TensorIndex::Parse(std::span<const std::byte> blob) {
  if (blob.size() < kHeaderBytes) return Corrupt("no whole header", 0);
  if (Load<uint32_t>(blob, 0) != kTensorIndexMagic) return Corrupt("wrong magic", 0);
  const auto version = Load<uint16_t>(blob, 4);
  if (version != kTensorIndexVersion) {
    return Error(ErrorCode::kVersionMismatch,
                 fmt::format("tensor index version {}, this program knows {}", version,
                             kTensorIndexVersion));
  }
  if (Load<uint16_t>(blob, 6) != kHeaderBytes) return Corrupt("wrong header size", 6);

  TensorIndex index;
  index.blob_ = blob;
  index.tensor_count_ = Load<uint64_t>(blob, 8);
  index.metadata_count_ = Load<uint64_t>(blob, 16);
  index.data_bytes_ = Load<uint64_t>(blob, 24);
  index.dims_offset_ = Load<uint64_t>(blob, 32);
  index.dims_count_ = Load<uint64_t>(blob, 40);
  index.metadata_offset_ = Load<uint64_t>(blob, 48);
  index.strings_offset_ = Load<uint64_t>(blob, 56);

  const auto fits = [&](uint64_t offset, uint64_t count, uint64_t size) {
    const auto bytes = CheckedMultiply(count, size);
    return bytes && Inside(offset, *bytes, blob.size());
  };
  if (!fits(kHeaderBytes, index.tensor_count_, kRecordBytes)) return Corrupt("tensor count", 8);
  if (index.dims_offset_ % 8 != 0 || !fits(index.dims_offset_, index.dims_count_, 8)) {
    return Corrupt("dims", 32);
  }
  if (!fits(index.metadata_offset_, index.metadata_count_, kMetadataRecordBytes)) {
    return Corrupt("metadata", 48);
  }
  if (index.strings_offset_ > blob.size()) return Corrupt("strings", 56);
  index.strings_bytes_ = blob.size() - index.strings_offset_;

  std::vector<uint64_t> shape;  // of the tensor at hand
  for (uint64_t i = 0; i < index.tensor_count_; ++i) {
    const Record record = index.RecordAt(i);
    const uint64_t at = kHeaderBytes + i * kRecordBytes;
    if (!Inside(record.name_offset, record.name_bytes, index.strings_bytes_)) {
      return Corrupt("tensor name", at);
    }
    if (record.rank > kMaxTensorRank ||
        !Inside(record.first_dim, record.rank, index.dims_count_)) {
      return Corrupt("tensor shape", at + 8);
    }
    if (!Inside(record.offset, record.bytes, index.data_bytes_)) {
      return Corrupt("tensor range", at + 16);
    }
    shape.clear();
    for (uint16_t d = 0; d < record.rank; ++d) {
      shape.push_back(Load<uint64_t>(blob, index.dims_offset_ + 8 * (record.first_dim + d)));
    }
    std::optional<uint64_t> size = ElementsOf(shape);
    if (size) size = DTypeBytes(static_cast<DType>(record.dtype), *size);
    if (size != record.bytes) return Corrupt("tensor size", at + 24);
  }
  for (uint64_t i = 0; i < index.metadata_count_; ++i) {
    const uint64_t at = index.metadata_offset_ + i * kMetadataRecordBytes;
    if (!Inside(Load<uint32_t>(blob, at), Load<uint32_t>(blob, at + 4), index.strings_bytes_) ||
        !Inside(Load<uint32_t>(blob, at + 8), Load<uint32_t>(blob, at + 12),
                index.strings_bytes_)) {
      return Corrupt("metadata string", at);
    }
  }
  return index;
}

TensorIndex::Record TensorIndex::RecordAt(uint64_t i) const {
  static_assert(sizeof(Record) == kRecordBytes);
  return Load<Record>(blob_, kHeaderBytes + i * kRecordBytes);
}

TensorEntry TensorIndex::tensor(uint64_t i) const {
  const Record record = RecordAt(i);
  TensorEntry tensor;
  tensor.name.assign(
      reinterpret_cast<const char*>(blob_.data() + strings_offset_ + record.name_offset),
      record.name_bytes);
  tensor.dtype = static_cast<DType>(record.dtype);
  for (uint16_t d = 0; d < record.rank; ++d) {
    tensor.shape.push_back(Load<uint64_t>(blob_, dims_offset_ + 8 * (record.first_dim + d)));
  }
  tensor.offset = record.offset;
  tensor.bytes = record.bytes;
  return tensor;
}

std::map<std::string, std::string> TensorIndex::metadata() const {
  std::map<std::string, std::string> pairs;
  const auto text = [&](uint64_t at) {
    return std::string(
        reinterpret_cast<const char*>(blob_.data() + strings_offset_ + Load<uint32_t>(blob_, at)),
        Load<uint32_t>(blob_, at + 4));
  };
  for (uint64_t i = 0; i < metadata_count_; ++i) {
    const uint64_t at = metadata_offset_ + i * kMetadataRecordBytes;
    pairs.emplace(text(at), text(at + 8));
  }
  return pairs;
}

std::map<std::string, uint64_t> TensorIndex::dtype_bytes() const {
  std::map<std::string, uint64_t> totals;
  for (uint64_t i = 0; i < tensor_count_; ++i) {
    const Record record = RecordAt(i);
    totals[std::string(DTypeName(static_cast<DType>(record.dtype)))] += record.bytes;
  }
  return totals;
}

}  // namespace warmset

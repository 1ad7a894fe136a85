#include "inspect/onnx/tensor_reader.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "base/byte_reader.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "tensor/tensor_index.h"

namespace warmset::onnx {
namespace {

constexpr size_t kMaxNameBytes = 64 * kKiB;
constexpr size_t kMaxEntryBytes = 64 * kKiB;
constexpr auto kEndOfDataTypes = static_cast<int32_t>(kDataTypes.size());

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

// As onnx.checker multiplies: what overflows before a zero is an error too.
StatusOr<uint64_t> ElementsOf(const std::vector<uint64_t>& shape) {
  uint64_t elements = 1;
  for (const uint64_t dim : shape) {
    const auto product = CheckedMultiply(elements, dim);
    if (!product || *product > INT64_MAX) return Corrupt("the product of its dims overflows");
    elements = *product;
  }
  return elements;
}

// Sub-byte elements are packed, the last byte is filled up.
std::optional<uint64_t> PackedBytes(DType dtype, uint64_t elements) {
  const uint64_t bits = DTypeBits(dtype);
  if (bits % 8 == 0) return CheckedMultiply(elements, bits / 8);
  const auto all = CheckedMultiply(elements, bits);
  return all ? std::optional(*all / 8 + (*all % 8 != 0)) : std::nullopt;
}

}  // namespace

// A TensorProto's fields, before they are put together.
struct TensorReader::Message {
  bool has_type = false;
  bool is_external = false;
  bool is_segment = false;
  Values floats, ints, strings, longs, doubles, unsigned_longs;
  WireSpan raw;
  ExternalEntries external;
  bool has_external_entries = false;

  struct Used {
    ValueField field;
    const Values* values;
  };
  // Those that hold values.
  uint8_t used() const {
    int bits = raw.size() != 0 ? kRawData : kNoValues;
    for (const ValueField field :
         {kFloatData, kInt32Data, kStringData, kInt64Data, kDoubleData, kUint64Data}) {
      if (values(field).entries != 0) bits |= field;
    }
    return static_cast<uint8_t>(bits);
  }
  const Values& values(ValueField field) const {
    switch (field) {
      case kFloatData:
        return floats;
      case kInt32Data:
        return ints;
      case kStringData:
        return strings;
      case kInt64Data:
        return longs;
      case kDoubleData:
        return doubles;
      default:
        return unsigned_longs;
    }
  }
};

StatusOr<bool> TensorReader::Read(WireSpan span, std::string_view label, TensorInfo& info) {
  Message message;
  Status status = Parse(span, message, info);
  if (CodeOf(status) == ErrorCode::kUnsupportedFormat) return status;  // a limit
  const auto named = [&](const Status& error) {
    const std::string name = Shown(info.name.empty() ? label : info.name);
    return AtOffset(Annotate(error, fmt::format("tensor '{}'", name)), span.begin);
  };
  // First, because nothing else that is wrong weighs as much.
  if (message.is_external && message.external.location) {
    const Status location = CheckLocation(*message.external.location).status();
    if (!location.ok()) status = location;
  }
  if (status.ok() && message.has_type && info.data_type >= kEndOfDataTypes) {
    problems_.Add(named(Error(
        ErrorCode::kUnsupportedFormat,
        fmt::format("its data type is {}; those below {} are known (onnx 1.23); convert the model "
                    "with the tools it was made with",
                    info.data_type, kEndOfDataTypes))));
    return false;
  }
  if (status.ok()) status = Place(message, info);
  if (status.ok()) return true;
  RETURN_IF_ERROR(problems_.Note(named(status)));
  return false;
}

Status TensorReader::Parse(WireSpan span, Message& message, TensorInfo& info) {
  WireMessage fields(source_, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    const bool is_varint = field.type == WireType::kVarint;
    const bool is_bytes = field.type == WireType::kBytes;
    switch (field.number) {
      case 1:  // dims
        if (is_varint) {
          RETURN_IF_ERROR(AddDim(field.value, info));
        } else if (is_bytes) {
          std::vector<uint64_t> dims;
          RETURN_IF_ERROR(ReadPackedVarints(source_, field.content, kMaxTensorRank, dims));
          for (const uint64_t dim : dims) RETURN_IF_ERROR(AddDim(dim, info));
        }
        break;
      case 2:  // data_type
        if (!is_varint) break;
        message.has_type = true;
        info.data_type = static_cast<int32_t>(field.value);
        break;
      case 3:  // segment
        message.is_segment = message.is_segment || is_bytes;
        break;
      case 4:
        RETURN_IF_ERROR(AddFixed(field, sizeof(float), message.floats));
        break;
      case 5:
        RETURN_IF_ERROR(AddVarints(field, message.ints));
        break;
      case 6:  // string_data
        if (!is_bytes) break;
        ++message.strings.entries;
        ++message.strings.runs;
        message.strings.last_run = field.content;
        break;
      case 7:
        RETURN_IF_ERROR(AddVarints(field, message.longs));
        break;
      case 8:  // name
        if (!is_bytes) break;
        if (field.content.size() > kMaxNameBytes) {
          return Problems::Limit(fmt::format("a tensor's name has {} bytes", field.content.size()));
        }
        RETURN_IF_ERROR(ReadContent(source_, field.content, info.name));
        break;
      case 9:  // raw_data
        if (is_bytes) message.raw = field.content;
        break;
      case 10:
        RETURN_IF_ERROR(AddFixed(field, sizeof(double), message.doubles));
        break;
      case 11:
        RETURN_IF_ERROR(AddVarints(field, message.unsigned_longs));
        break;
      case 13:  // external_data
        if (!is_bytes) break;
        message.has_external_entries = true;
        RETURN_IF_ERROR(ParseExternalEntry(field.content, message));
        break;
      case 14:  // data_location
        if (!is_varint) break;
        if (field.value > 1) {
          return Corrupt(fmt::format("its data_location is {}; 0 and 1 are known", field.value));
        }
        message.is_external = field.value == 1;
        break;
      default:
        break;
    }
  }
  return fields.status();
}

Status TensorReader::ParseExternalEntry(WireSpan span, Message& message) {
  std::string key;
  std::string value;
  WireMessage fields(source_, span);
  while (fields.Next()) {
    const WireField& field = fields.field();
    if (field.type != WireType::kBytes || field.number > 2) continue;
    if (field.content.size() > kMaxEntryBytes) {
      return Corrupt(
          fmt::format("an entry of its external data has {} bytes", field.content.size()));
    }
    RETURN_IF_ERROR(ReadContent(source_, field.content, field.number == 1 ? key : value));
  }
  RETURN_IF_ERROR(fields.status());
  std::optional<std::string>* known = nullptr;
  if (key == "location") known = &message.external.location;
  if (key == "offset") known = &message.external.offset;
  if (key == "length") known = &message.external.length;
  if (known != nullptr) {
    if (*known) return Corrupt(fmt::format("its external data has two entries for {}", key));
    *known = std::move(value);
  } else if (key != "checksum" && key != "basepath") {
    problems_.Warn(fmt::format("a tensor's external data has the unknown key '{}'; it is ignored",
                               Shown(key)));
  }
  return OkStatus();
}

Status TensorReader::AddDim(uint64_t dim, TensorInfo& info) {
  if (dim > INT64_MAX) {
    return Corrupt(fmt::format("it has the dimension {}", static_cast<int64_t>(dim)));
  }
  if (info.shape.size() == kMaxTensorRank) {
    return Error(ErrorCode::kUnsupportedFormat,
                 fmt::format("it has more than {} dimensions", kMaxTensorRank));
  }
  info.shape.push_back(dim);
  return OkStatus();
}

Status TensorReader::AddFixed(const WireField& field, uint64_t entry_bytes, Values& values) {
  const WireType single = entry_bytes == 4 ? WireType::kFixed32 : WireType::kFixed64;
  if (field.type != single && field.type != WireType::kBytes) return OkStatus();
  if (field.content.size() == 0) return OkStatus();
  if (field.content.size() % entry_bytes != 0) {
    return Corrupt(fmt::format("its values take {} bytes, which is no multiple of {}",
                               field.content.size(), entry_bytes));
  }
  values.entries += field.content.size() / entry_bytes;
  ++values.runs;
  values.last_run = field.content;
  return OkStatus();
}

Status TensorReader::AddVarints(const WireField& field, Values& values) {
  if (field.type == WireType::kVarint) {
    ++values.entries;
  } else if (field.type == WireType::kBytes && field.content.size() != 0) {
    uint64_t count = field.content.size();  // at most: each has a byte
    if (count <= bytes_to_count_) {
      bytes_to_count_ -= count;
      ASSIGN_OR_RETURN(count, CountPackedVarints(source_, field.content));
    }
    values.entries += count;
    values.last_run = field.content;
  } else {
    return OkStatus();
  }
  ++values.runs;
  return OkStatus();
}

Status TensorReader::Place(const Message& message, TensorInfo& info) {
  if (!message.has_type || info.data_type == 0) return Corrupt("it has no data type");
  if (info.data_type < 0) return Corrupt(fmt::format("its data type is {}", info.data_type));
  const DataType& type = kDataTypes[static_cast<size_t>(info.data_type)];
  ASSIGN_OR_RETURN(const uint64_t elements, ElementsOf(info.shape));
  const auto expected_bytes = PackedBytes(type.dtype, elements);
  if (!expected_bytes) return Corrupt("its size overflows");
  // Whole blocks of sub-byte elements only have a place of their own.
  const bool is_plain = DTypeBytes(type.dtype, elements).has_value() && !message.is_segment;
  info.storage = is_plain ? TensorStorage::kContiguous : TensorStorage::kEncoded;
  const uint8_t used = message.used();
  if (message.is_external) {
    if (used != kNoValues) return Corrupt("its data is external, and it holds values, too");
    return PlaceExternal(message, type, *expected_bytes, info);
  }
  if (message.has_external_entries) {
    problems_.Warn(fmt::format("tensor '{}' has entries for external data, which it does not use",
                               Shown(info.name)));
  }
  if (elements == 0) {
    if (used != kNoValues) return Corrupt("it has no elements, but values");
    info.offset = message.raw.begin;
    return OkStatus();
  }
  if (used == kNoValues) return Corrupt(fmt::format("it has {} elements, but no values", elements));
  if (!std::has_single_bit(used)) return Corrupt("its values are in more than one field");
  if (used == kRawData) {
    if (info.data_type == kString) return Corrupt("it is text, which raw_data can't hold");
    if (message.raw.size() < *expected_bytes) {
      return Corrupt(fmt::format("its raw_data has {} bytes, its dims and type make {}",
                                 message.raw.size(), *expected_bytes));
    }
    if (message.raw.size() > *expected_bytes) {
      problems_.Warn(fmt::format("tensor '{}' has {} bytes of raw_data, of which {} are used",
                                 Shown(info.name), message.raw.size(), *expected_bytes));
    }
    info.offset = message.raw.begin;
    info.bytes = *expected_bytes;
    return OkStatus();
  }
  if (used != type.field) {
    return Corrupt(fmt::format("its values are in a field that is not for the type {}", type.name));
  }
  const Values& values = message.values(type.field);
  // Divided, not multiplied: the number of elements is the file's.
  const uint64_t groups = elements / type.elements + (elements % type.elements != 0);
  if (values.entries / type.entries < groups) {
    return Corrupt(
        fmt::format("it holds {} values, its dims make {} elements", values.entries, elements));
  }
  info.offset = values.last_run.begin;
  const bool is_fixed = type.field == kFloatData || type.field == kDoubleData;
  if (is_fixed && values.runs == 1) {
    info.bytes = *expected_bytes;
  } else {
    info.storage = TensorStorage::kEncoded;
    info.bytes = values.runs == 1 ? values.last_run.size() : 0;
  }
  return OkStatus();
}

Status TensorReader::PlaceExternal(const Message& message, const DataType& type,
                                   uint64_t expected_bytes, TensorInfo& info) {
  const auto found = external_.Find(message.external);
  RETURN_IF_ERROR(found.status());
  if (info.data_type == kString) return Corrupt("it is text, which can't be external");
  if (found->bytes < expected_bytes) {
    return Corrupt(fmt::format("its external data has {} bytes, its dims and type {} make {}",
                               found->bytes, type.name, expected_bytes));
  }
  if (message.external.length && found->bytes > expected_bytes) {
    problems_.Warn(fmt::format("tensor '{}' has {} bytes of external data, of which {} are used",
                               Shown(info.name), found->bytes, expected_bytes));
  }
  info.file = found->file;
  info.offset = found->offset;
  info.bytes = expected_bytes;
  return OkStatus();
}

}  // namespace warmset::onnx

#include "inspect/safetensors/reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "base/byte_reader.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/json.h"
#include "simdjson.h"

namespace warmset {
namespace {

namespace json = simdjson::ondemand;

constexpr uint64_t kLengthBytes = sizeof(uint64_t);
constexpr size_t kMaxNesting = 128;
constexpr size_t kMaxWarnings = 20;
constexpr std::string_view kMetadataKey = "__metadata__";

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

// Parses the JSON text of one header. On-demand parsing checks only what is
// looked at, so everything is: also fields that nobody knows.
class HeaderParser {
 public:
  // data_begin: where in the file the tensors' bytes start.
  HeaderParser(uint64_t data_begin, uint64_t data_bytes, FileContents& contents)
      : data_begin_(data_begin), data_bytes_(data_bytes), contents_(contents) {}

  // REQUIRES: capacity >= size + SIMDJSON_PADDING.
  Status Parse(const char* text, size_t size, size_t capacity) {
    begin_ = text;
    RETURN_IF_ERROR(ParseDocument(simdjson::padded_string_view(text, size, capacity)));
    const TensorTable& tensors = contents_.tensors;
    if (const auto twice = tensors.FindDuplicateName()) {
      return Corrupt(fmt::format("header: two tensors named '{}'", tensors[*twice].name));
    }
    return CheckLayout();
  }

 private:
  Status ParseDocument(simdjson::padded_string_view text) {
    json::parser parser;
    json::document document;
    json::object object;
    if (const auto error = parser.allocate(text.size(), kMaxNesting)) return Json(error);
    if (const auto error = parser.iterate(text).get(document)) return Json(error);
    document_ = &document;
    if (const auto error = document.get_object().get(object)) return Json(error);
    for (auto item : object) {
      json::field field;
      std::string_view key;
      if (const auto error = std::move(item).get(field)) return Json(error);
      if (const auto error = field.unescaped_key().get(key)) return Json(error);
      json::value value = field.value();
      RETURN_IF_ERROR(key == kMetadataKey ? ParseMetadata(value) : ParseTensor(key, value));
    }
    const bool at_end = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
    return at_end ? OkStatus() : Corrupt("header: something follows its JSON object");
  }

  Status ParseMetadata(json::value value) {
    if (seen_metadata_) return Corrupt("header: two __metadata__ fields");
    seen_metadata_ = true;
    bool null = false;
    if (const auto error = value.is_null().get(null)) return Json(error);
    if (null) return OkStatus();
    json::object pairs;
    if (const auto error = value.get_object().get(pairs)) return Json(error);
    for (auto item : pairs) {
      json::field field;
      std::string_view key;
      std::string_view text;
      if (const auto error = std::move(item).get(field)) return Json(error);
      if (const auto error = field.unescaped_key().get(key)) return Json(error);
      if (const auto error = field.value().get_string().get(text)) {
        return Annotate(Json(error), fmt::format("metadata '{}'", key));
      }
      if (!contents_.metadata.emplace(key, text).second) {
        return Corrupt(fmt::format("header: two metadata values for '{}'", key));
      }
    }
    return OkStatus();
  }

  Status ParseTensor(std::string_view name, json::value value) {
    TensorView tensor;
    tensor.name = name;
    Status status = ParseInfo(value, tensor);
    if (status.ok()) status = contents_.tensors.Add(tensor);
    return Annotate(status, fmt::format("tensor '{}'", name));
  }

  // {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} in any order.
  Status ParseInfo(json::value value, TensorView& tensor) {
    json::object info;
    if (const auto error = value.get_object().get(info)) return Json(error);
    std::optional<DType> dtype;
    bool seen_shape = false;
    std::optional<std::array<uint64_t, 2>> offsets;
    for (auto item : info) {
      json::field field;
      std::string_view key;
      if (const auto error = std::move(item).get(field)) return Json(error);
      if (const auto error = field.unescaped_key().get(key)) return Json(error);
      json::value content = field.value();
      if (key == "dtype") {
        if (dtype) return Corrupt("two dtype fields");
        ASSIGN_OR_RETURN(dtype, ParseDType(content));
      } else if (key == "shape") {
        if (seen_shape) return Corrupt("two shape fields");
        seen_shape = true;
        RETURN_IF_ERROR(ParseShape(content));
      } else if (key == "data_offsets") {
        if (offsets) return Corrupt("two data_offsets fields");
        ASSIGN_OR_RETURN(offsets, ParseOffsets(content));
      } else {
        constexpr size_t kDepthOfField = 2;  // inside the header and the tensor's info
        const auto error = ValidateJson(content, kMaxNesting - kDepthOfField);
        if (error != simdjson::SUCCESS) return Json(error);
        Warn(fmt::format("tensor '{}': unknown field '{}'", tensor.name, key));
      }
    }
    if (!dtype) return Corrupt("no dtype field");
    if (!seen_shape) return Corrupt("no shape field");
    if (!offsets) return Corrupt("no data_offsets field");
    const auto [begin, end] = *offsets;
    if (begin > end || end > data_bytes_) {
      return Corrupt(fmt::format("data_offsets [{}, {}] lie outside of the file's {} bytes of data",
                                 begin, end, data_bytes_));
    }
    tensor.dtype = *dtype;
    tensor.shape = shape_;
    tensor.offset = data_begin_ + begin;
    tensor.bytes = end - begin;
    return CheckSize(tensor);
  }

  StatusOr<DType> ParseDType(json::value value) {
    std::string_view name;
    if (const auto error = value.get_string().get(name)) return Json(error);
    const auto dtype = DTypeFromName(name);
    if (!dtype || *dtype > kLastSafetensorsDType) {
      return Corrupt(fmt::format("unknown dtype '{}'", name));
    }
    return *dtype;
  }

  Status ParseShape(json::value value) {
    shape_.clear();
    json::array dims;
    if (const auto error = value.get_array().get(dims)) return Json(error);
    for (auto item : dims) {
      uint64_t dim = 0;
      if (const auto error = item.get_uint64().get(dim)) return Json(error);
      shape_.push_back(dim);
    }
    return OkStatus();
  }

  StatusOr<std::array<uint64_t, 2>> ParseOffsets(json::value value) {
    json::array numbers;
    if (const auto error = value.get_array().get(numbers)) return Json(error);
    std::array<uint64_t, 2> offsets{};
    size_t count = 0;
    for (auto item : numbers) {
      if (count == offsets.size()) return Corrupt("data_offsets has more than two numbers");
      if (const auto error = item.get_uint64().get(offsets[count++])) return Json(error);
    }
    if (count != offsets.size()) return Corrupt("data_offsets has fewer than two numbers");
    return offsets;
  }

  // The product is formed from left to right, as the reference does it: a zero
  // saves what comes after it, not what overflowed before.
  static Status CheckSize(const TensorView& tensor) {
    std::optional<uint64_t> size = 1;
    for (const uint64_t dim : tensor.shape) {
      size = CheckedMultiply(*size, dim);
      if (!size) return Corrupt("the product of its shape overflows");
    }
    size = CheckedMultiply(*size, DTypeBits(tensor.dtype));
    if (!size) return Corrupt("its size overflows");
    if (*size % 8 != 0) return Corrupt("its size is no whole number of bytes");
    if (*size / 8 != tensor.bytes) {
      return Corrupt(fmt::format("its shape and dtype make {} bytes, its data_offsets {}",
                                 *size / 8, tensor.bytes));
    }
    return OkStatus();
  }

  // Sorts, and checks that the tensors fill the data without holes or overlaps.
  Status CheckLayout() {
    TensorTable& tensors = contents_.tensors;
    tensors.SortByPlace();
    uint64_t end = data_begin_;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const TensorView tensor = tensors[i];
      if (tensor.offset != end) {
        return AtOffset(
            Corrupt(fmt::format("tensor '{}': begins at {}, where the one before it ends at {}",
                                tensor.name, tensor.offset - data_begin_, end - data_begin_)),
            tensor.offset);
      }
      end += tensor.bytes;
    }
    if (end == data_begin_ + data_bytes_) return OkStatus();
    return AtOffset(Corrupt(fmt::format("the file has {} bytes of data, its tensors take {}",
                                        data_bytes_, end - data_begin_)),
                    end);
  }

  void Warn(std::string warning) {
    if (contents_.findings.size() == kMaxWarnings) return;
    Finding finding;
    finding.message = std::move(warning);
    contents_.findings.push_back(std::move(finding));
  }

  Status Json(simdjson::error_code error) const {
    const char* at = nullptr;
    if (document_ != nullptr && document_->current_location().get(at) == simdjson::SUCCESS) {
      const uint64_t offset = kLengthBytes + static_cast<uint64_t>(at - begin_);
      return AtOffset(
          Corrupt(fmt::format("header: {} near offset {}", JsonErrorText(error), offset)), offset);
    }
    return Corrupt(fmt::format("header: {}", JsonErrorText(error)));
  }

  const uint64_t data_begin_;
  const uint64_t data_bytes_;
  const char* begin_ = nullptr;
  json::document* document_ = nullptr;  // while ParseDocument() runs
  bool seen_metadata_ = false;
  std::vector<uint64_t> shape_;  // of the tensor at hand
  FileContents& contents_;
};

// The length of the JSON text, from the file's first bytes.
StatusOr<uint64_t> HeaderLength(ByteSource& file) {
  uint64_t length = 0;
  if (file.size() < sizeof length) {
    return Corrupt(fmt::format("{} bytes are too few for a header", file.size()));
  }
  RETURN_IF_ERROR(file.Read(0, std::as_writable_bytes(std::span(&length, 1))));
  if (length > kMaxSafetensorsHeaderBytes) {
    return Corrupt(fmt::format("the header's length is {}, at most {} is allowed", length,
                               kMaxSafetensorsHeaderBytes));
  }
  if (length > file.size() - sizeof length) {
    return Corrupt(fmt::format("the header's length is {}, the file has {} bytes: it is cut off",
                               length, file.size()));
  }
  return length;
}

// What a header begins with. Leading white space is accepted as the reference
// does; all else, a byte order mark for one, is not.
bool BeginsWithBrace(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  return start != std::string_view::npos && text[start] == '{';
}

}  // namespace

FormatReader::Match SafetensorsReader::Recognise(const FileStart& start) const {
  uint64_t length = 0;
  if (start.bytes.size() > sizeof length) {
    std::memcpy(&length, start.bytes.data(), sizeof length);
    const auto text = start.bytes.subspan(sizeof length);
    if (length <= kMaxSafetensorsHeaderBytes &&
        BeginsWithBrace({reinterpret_cast<const char*>(text.data()), text.size()})) {
      return Match::kByContent;
    }
  }
  return start.name.ends_with(".safetensors") ? Match::kByName : Match::kNo;
}

Status SafetensorsReader::Read(ByteSource& file, OtherFiles&, FileContents& contents) const {
  ASSIGN_OR_RETURN(const uint64_t length, HeaderLength(file));
  const uint64_t capacity = length + simdjson::SIMDJSON_PADDING;
  const auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
  RETURN_IF_ERROR(
      file.Read(kLengthBytes, std::as_writable_bytes(std::span(buffer.get(), length))));
  if (!BeginsWithBrace({buffer.get(), length})) {
    return AtOffset(Corrupt("header: it does not begin with '{'"), kLengthBytes);
  }
  const uint64_t data_begin = kLengthBytes + length;
  return HeaderParser(data_begin, file.size() - data_begin, contents)
      .Parse(buffer.get(), length, capacity);
}

}  // namespace warmset

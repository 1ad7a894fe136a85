#include "inspect/safetensors/header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>

#include "absl/container/flat_hash_set.h"
#include "base/byte_reader.h"
#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/json.h"
#include "os/file.h"
#include "simdjson.h"

namespace warmset {
namespace {

namespace json = simdjson::ondemand;

constexpr uint64_t kLengthBytes = sizeof(uint64_t);
constexpr uint64_t kFirstReadBytes = 64 * kKiB;
constexpr size_t kMaxNesting = 128;
constexpr size_t kMaxWarnings = 20;
constexpr std::string_view kLfsPointer = "version https://git-lfs.github.com/spec/";
constexpr std::string_view kMetadataKey = "__metadata__";

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

// Parses the JSON text of one header. On-demand parsing checks only what is
// looked at, so everything is: also fields that nobody knows.
class HeaderParser {
 public:
  // data_begin: where in the file the tensors' bytes start.
  HeaderParser(uint64_t data_begin, uint64_t data_bytes)
      : data_begin_(data_begin), data_bytes_(data_bytes) {}

  // REQUIRES: capacity >= size + SIMDJSON_PADDING.
  StatusOr<SafetensorsHeader> Parse(const char* text, size_t size, size_t capacity) {
    begin_ = text;
    RETURN_IF_ERROR(ParseDocument(simdjson::padded_string_view(text, size, capacity)));
    RETURN_IF_ERROR(CheckNames());
    RETURN_IF_ERROR(CheckLayout());
    return std::move(header_);
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
      if (!header_.metadata.emplace(key, text).second) {
        return Corrupt(fmt::format("header: two metadata values for '{}'", key));
      }
    }
    return OkStatus();
  }

  Status ParseTensor(std::string_view name, json::value value) {
    TensorEntry tensor;
    tensor.name = name;
    const Status status = ParseInfo(value, tensor);
    if (!status.ok()) return Annotate(status, fmt::format("tensor '{}'", name));
    header_.tensors.push_back(std::move(tensor));
    return OkStatus();
  }

  // {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} in any order.
  Status ParseInfo(json::value value, TensorEntry& tensor) {
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
        RETURN_IF_ERROR(ParseShape(content, tensor.shape));
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
    tensor.offset = data_begin_ + begin;
    tensor.bytes = end - begin;
    return CheckSize(tensor);
  }

  StatusOr<DType> ParseDType(json::value value) {
    std::string_view name;
    if (const auto error = value.get_string().get(name)) return Json(error);
    const auto dtype = DTypeFromName(name);
    if (!dtype) return Corrupt(fmt::format("unknown dtype '{}'", name));
    return *dtype;
  }

  Status ParseShape(json::value value, std::vector<uint64_t>& shape) {
    json::array dims;
    if (const auto error = value.get_array().get(dims)) return Json(error);
    for (auto item : dims) {
      uint64_t dim = 0;
      if (const auto error = item.get_uint64().get(dim)) return Json(error);
      shape.push_back(dim);
    }
    if (shape.size() <= kMaxTensorRank) return OkStatus();
    return Error(
        ErrorCode::kUnsupportedFormat,
        fmt::format("{} dimensions; at most {} are supported", shape.size(), kMaxTensorRank));
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
  static Status CheckSize(const TensorEntry& tensor) {
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

  Status CheckNames() const {
    absl::flat_hash_set<std::string_view, std::hash<std::string_view>> names;
    names.reserve(header_.tensors.size());
    for (const TensorEntry& tensor : header_.tensors) {
      if (!names.insert(tensor.name).second) {
        return Corrupt(fmt::format("header: two tensors named '{}'", tensor.name));
      }
    }
    return OkStatus();
  }

  // Sorts, and checks that the tensors fill the data without holes or overlaps.
  Status CheckLayout() {
    std::vector<TensorEntry>& tensors = header_.tensors;
    if (!std::is_sorted(tensors.begin(), tensors.end(), InFileOrder)) {
      std::sort(tensors.begin(), tensors.end(), InFileOrder);
    }
    uint64_t end = data_begin_;
    for (const TensorEntry& tensor : tensors) {
      if (tensor.offset != end) {
        return Corrupt(fmt::format("tensor '{}': begins at {}, where the one before it ends at {}",
                                   tensor.name, tensor.offset - data_begin_, end - data_begin_));
      }
      end += tensor.bytes;
    }
    if (end != data_begin_ + data_bytes_) {
      return Corrupt(fmt::format("the file has {} bytes of data, its tensors take {}", data_bytes_,
                                 end - data_begin_));
    }
    return OkStatus();
  }

  void Warn(std::string warning) {
    if (header_.warnings.size() < kMaxWarnings) header_.warnings.push_back(std::move(warning));
  }

  Status Json(simdjson::error_code error) const {
    const char* at = nullptr;
    if (document_ != nullptr && document_->current_location().get(at) == simdjson::SUCCESS) {
      return Corrupt(fmt::format("header: {} near offset {}", JsonErrorText(error),
                                 kLengthBytes + static_cast<uint64_t>(at - begin_)));
    }
    return Corrupt(fmt::format("header: {}", JsonErrorText(error)));
  }

  const uint64_t data_begin_;
  const uint64_t data_bytes_;
  const char* begin_ = nullptr;
  json::document* document_ = nullptr;  // while ParseDocument() runs
  bool seen_metadata_ = false;
  SafetensorsHeader header_;
};

// The length of the JSON text, from the file's first bytes.
StatusOr<uint64_t> HeaderLength(std::string_view first, uint64_t file_size) {
  if (first.starts_with(kLfsPointer)) {
    return Corrupt(
        "this is a Git LFS pointer and not the weights; fetch them with `git lfs pull` or "
        "download the file again");
  }
  if (file_size < kLengthBytes) {
    return Corrupt(fmt::format("{} bytes are too few for a header", file_size));
  }
  uint64_t length = 0;
  std::memcpy(&length, first.data(), sizeof length);
  if (length > kMaxSafetensorsHeaderBytes) {
    return Corrupt(fmt::format("the header's length is {}, at most {} is allowed", length,
                               kMaxSafetensorsHeaderBytes));
  }
  if (length > file_size - kLengthBytes) {
    return Corrupt(fmt::format("the header's length is {}, the file has {} bytes: it is cut off",
                               length, file_size));
  }
  return length;
}

// read(buffer, offset) fills the buffer from the file.
template <typename Read>
StatusOr<SafetensorsHeader> ReadHeader(uint64_t file_size, Read read) {
  const uint64_t first = std::min(kFirstReadBytes, file_size);
  uint64_t capacity = first + simdjson::SIMDJSON_PADDING;
  auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
  RETURN_IF_ERROR(read(std::as_writable_bytes(std::span(buffer.get(), first)), 0));
  ASSIGN_OR_RETURN(const uint64_t length, HeaderLength({buffer.get(), first}, file_size));

  const uint64_t data_begin = kLengthBytes + length;
  if (data_begin > first) {
    capacity = data_begin + simdjson::SIMDJSON_PADDING;
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    std::memcpy(larger.get(), buffer.get(), first);
    RETURN_IF_ERROR(
        read(std::as_writable_bytes(std::span(larger.get() + first, data_begin - first)), first));
    buffer = std::move(larger);
  }
  // Leading white space is accepted as the reference does; all else, a byte
  // order mark for one, is not.
  const std::string_view text(buffer.get() + kLengthBytes, length);
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || text[start] != '{') {
    return Corrupt("header: it does not begin with '{'");
  }
  HeaderParser parser(data_begin, file_size - data_begin);
  return parser.Parse(text.data(), length, capacity - kLengthBytes);
}

}  // namespace

bool InFileOrder(const TensorEntry& a, const TensorEntry& b) {
  return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
}

StatusOr<SafetensorsHeader> ReadSafetensorsHeader(int fd, uint64_t file_size) {
  return ReadHeader(file_size, [fd](std::span<std::byte> buffer, uint64_t offset) {
    return os::ReadExactly(fd, buffer, offset);
  });
}

StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::span<const std::byte> file_start,
                                                   uint64_t file_size) {
  return ReadHeader(file_size, [file_start](std::span<std::byte> buffer, uint64_t offset) {
    if (offset > file_start.size() || buffer.size() > file_start.size() - offset) {
      return Corrupt("the file ends before its header");
    }
    std::memcpy(buffer.data(), file_start.data() + offset, buffer.size());
    return OkStatus();
  });
}

}  // namespace warmset

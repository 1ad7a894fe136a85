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
#include "inspect/cut_off.h"
#include "inspect/json_scanner.h"
#include "inspect/shown.h"
#include "inspect/weight_sets.h"
#include "simdjson.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

constexpr uint64_t kLengthBytes = sizeof(uint64_t);
constexpr uint64_t kLook = 256;  // bytes that show whether a header is JSON
constexpr size_t kMaxNesting = 128;
constexpr size_t kMaxWarnings = 20;
constexpr uint64_t kAlignment = 8;  // of where the data begins, since safetensors 0.3.1
constexpr size_t kSample = 1000;    // tensors that tell of all
constexpr std::string_view kMetadataKey = "__metadata__";

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

// Parses the JSON text of one header. Everything in it is checked, also fields
// that nobody knows.
class HeaderParser {
 public:
  // data_begin: where in the file the tensors' bytes start.
  HeaderParser(std::string_view text, uint64_t data_begin, uint64_t data_bytes,
               FileContents& contents)
      : text_(text),
        data_begin_(data_begin),
        data_bytes_(data_bytes),
        json_(text),
        contents_(contents) {}

  Status Parse() {
    if (!simdjson::validate_utf8(text_.data(), text_.size())) {
      return Corrupt("header: it is not UTF-8");
    }
    RETURN_IF_ERROR(ParseDocument());
    const TensorTable& tensors = contents_.tensors;
    if (const auto twice = tensors.FindDuplicateName()) {
      return Corrupt(fmt::format("header: two tensors named '{}'", tensors[*twice].name));
    }
    return CheckLayout();
  }

 private:
  Status ParseDocument() {
    if (!json_.BeginObject()) return Json();
    bool first = true;
    std::string_view key;
    while (json_.NextMember(first, key)) {
      RETURN_IF_ERROR(key == kMetadataKey ? ParseMetadata() : ParseTensor(key));
    }
    if (json_.failed()) return Json();
    return json_.AtEnd() ? OkStatus() : Corrupt("header: something follows its JSON object");
  }

  Status ParseMetadata() {
    if (seen_metadata_) return Corrupt("header: two __metadata__ fields");
    seen_metadata_ = true;
    if (json_.ConsumeNull()) return OkStatus();
    if (!json_.BeginObject()) return Json();
    bool first = true;
    std::string_view key;
    std::string_view text;
    while (json_.NextMember(first, key)) {
      if (!json_.String(text)) return Annotate(Json(), fmt::format("metadata '{}'", key));
      if (!contents_.metadata.emplace(key, text).second) {
        return Corrupt(fmt::format("header: two metadata values for '{}'", key));
      }
    }
    return json_.failed() ? Json() : OkStatus();
  }

  Status ParseTensor(std::string_view key) {
    name_.assign(key);  // the scanner's is valid until the next key
    TensorView tensor;
    tensor.name = name_;
    unknown_dtype_.clear();
    Status status = ParseInfo(tensor);
    if (status.ok() && !unknown_dtype_.empty()) return LeaveOut(tensor);
    if (status.ok()) status = contents_.tensors.Add(tensor);
    if (!status.ok()) return Annotate(status, fmt::format("tensor '{}'", name_));
    if (contents_.tensors.size() == kSample) ReserveForAll();
    return status;
  }

  // Of a dtype that is not known: where it lies is still checked.
  Status LeaveOut(const TensorView& tensor) {
    if (unsupported_.ok()) {
      unsupported_ =
          Error(ErrorCode::kUnsupportedFormat,
                fmt::format("tensor '{}': safetensors has no dtype '{}' as far as is known here; "
                            "load the model with the program that made it, or update Warmset",
                            Shown(name_), unknown_dtype_));
    }
    unknown_extents_.push_back({tensor.offset, tensor.bytes});
    return OkStatus();
  }

  // The first tensors show how many there will be, so that the table need not be
  // copied when it is at its largest.
  void ReserveForAll() {
    const auto per_byte = [this](size_t sampled) {
      const double share = static_cast<double>(sampled) / static_cast<double>(json_.offset());
      return static_cast<size_t>(share * static_cast<double>(text_.size()) * 1.05);
    };
    contents_.tensors.Reserve(per_byte(kSample), per_byte(sampled_dims_),
                              per_byte(sampled_name_bytes_));
  }

  // {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} in any order.
  Status ParseInfo(TensorView& tensor) {
    if (!json_.BeginObject()) return Json();
    bool seen_dtype = false;
    bool seen_shape = false;
    std::optional<std::array<uint64_t, 2>> offsets;
    bool first = true;
    std::string_view key;
    while (json_.NextMember(first, key)) {
      if (key == "dtype") {
        if (seen_dtype) return Corrupt("two dtype fields");
        seen_dtype = true;
        std::string_view name;
        if (!json_.String(name)) return Json();
        tensor.dtype = DTypeFromName(name).value_or(DType::kInvalid);
        if (tensor.dtype > kLastSafetensorsDType) tensor.dtype = DType::kInvalid;
        if (tensor.dtype == DType::kInvalid) {
          unknown_dtype_ = name.empty() ? "(empty)" : Shown(name);
        }
      } else if (key == "shape") {
        if (seen_shape) return Corrupt("two shape fields");
        seen_shape = true;
        RETURN_IF_ERROR(ParseShape());
      } else if (key == "data_offsets") {
        if (offsets) return Corrupt("two data_offsets fields");
        ASSIGN_OR_RETURN(offsets, ParseOffsets());
      } else {
        Warn(fmt::format("tensor '{}': unknown field '{}'", tensor.name, key));
        constexpr size_t kDepthOfField = 2;  // inside the header and the tensor's info
        if (!json_.Skip(kMaxNesting - kDepthOfField)) return Json();
      }
    }
    if (json_.failed()) return Json();
    if (!seen_dtype) return Corrupt("no dtype field");
    if (!seen_shape) return Corrupt("no shape field");
    if (!offsets) return Corrupt("no data_offsets field");
    const auto [begin, end] = *offsets;
    if (begin > end || !CheckedAdd(data_begin_, end)) {
      return Corrupt(fmt::format("its data_offsets [{}, {}] are no place in a file", begin, end));
    }
    tensor.offset = data_begin_ + begin;
    tensor.bytes = end - begin;
    if (tensor.dtype == DType::kInvalid) return OkStatus();
    tensor.shape = shape_;
    sampled_dims_ += shape_.size();
    sampled_name_bytes_ += tensor.name.size();
    return CheckSize(tensor);
  }

  Status ParseShape() {
    shape_.clear();
    if (!json_.BeginArray()) return Json();
    bool first = true;
    while (json_.NextElement(first)) {
      uint64_t dim = 0;
      if (!json_.Uint64(dim)) return Json();
      if (shape_.size() == kMaxTensorRank) {  // no memory for what can't be used
        return Error(ErrorCode::kUnsupportedFormat,
                     fmt::format("it has more dimensions than are supported, at most {}",
                                 kMaxTensorRank));
      }
      shape_.push_back(dim);
    }
    return json_.failed() ? Json() : OkStatus();
  }

  StatusOr<std::array<uint64_t, 2>> ParseOffsets() {
    if (!json_.BeginArray()) return Json();
    std::array<uint64_t, 2> offsets{};
    size_t count = 0;
    bool first = true;
    while (json_.NextElement(first)) {
      if (count == offsets.size()) return Corrupt("data_offsets has more than two numbers");
      if (!json_.Uint64(offsets[count++])) return Json();
    }
    if (json_.failed()) return Json();
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
    std::sort(unknown_extents_.begin(), unknown_extents_.end());
    auto unknown = unknown_extents_.begin();
    uint64_t end = data_begin_;
    const auto skip_unknown = [&] {
      while (unknown != unknown_extents_.end() && unknown->first == end) {
        end += (unknown++)->second;
      }
    };
    for (size_t i = 0; i < tensors.size(); ++i) {
      const TensorView tensor = tensors[i];
      if (tensor.offset != end) skip_unknown();
      if (tensor.offset != end) {
        return AtOffset(
            Corrupt(fmt::format("tensor '{}': begins at {}, where the one before it ends at {}",
                                tensor.name, tensor.offset - data_begin_, end - data_begin_)),
            tensor.offset);
      }
      end += tensor.bytes;
    }
    skip_unknown();
    if (unknown != unknown_extents_.end()) {
      return AtOffset(Corrupt("a tensor of an unknown dtype leaves a hole or overlaps another"),
                      unknown->first);
    }
    const uint64_t file_bytes = data_begin_ + data_bytes_;
    if (end > file_bytes) {
      tensors = {};  // none can be handed out
      return CutOff(file_bytes, end);
    }
    WarnOfOldLayout();
    if (end == file_bytes) return unsupported_;
    if (tensors.empty()) {
      return AtOffset(
          Corrupt(fmt::format("{} bytes follow its header, which lists no tensor", data_bytes_)),
          end);
    }
    contents_.tensors_are_whole = true;
    return AtOffset(
        Corrupt(fmt::format("{} bytes follow the last tensor, which safetensors forbids; every "
                            "tensor is whole: --force takes them, and saving the model again "
                            "removes what follows",
                            file_bytes - end)),
        end);
  }

  // docs/formats/safetensors-versions.md says what counts as old.
  void WarnOfOldLayout() {
    if (data_begin_ % kAlignment == 0) return;
    const TensorTable& tensors = contents_.tensors;
    for (size_t i = 0; i < tensors.size(); ++i) {
      const uint64_t item = DTypeBits(tensors[i].dtype) / 8;
      if (item == 0 || tensors[i].bytes == 0 || tensors[i].offset % item == 0) continue;
      contents_.findings.push_back(
          {.path = "",
           .category = FindingCategory::kFormatVersion,
           .message = fmt::format(
               "it has the layout of safetensors before 0.3.1, whose header is not padded to 8 "
               "bytes: tensor '{}' begins at offset {}, not at a multiple of its element's {} "
               "bytes, so that some programs copy it or refuse it; to migrate, load the file "
               "with the safetensors library and save it again",
               Shown(tensors[i].name), tensors[i].offset, item),
           .offset = data_begin_});
      return;
    }
  }

  void Warn(std::string warning) {
    if (contents_.findings.size() == kMaxWarnings) return;
    Finding finding;
    finding.message = std::move(warning);
    contents_.findings.push_back(std::move(finding));
  }

  // What the scanner stumbled over.
  Status Json() const {
    const uint64_t offset = kLengthBytes + json_.offset();
    return AtOffset(Corrupt(fmt::format("header: {} near offset {}", json_.error(), offset)),
                    offset);
  }

  const std::string_view text_;
  const uint64_t data_begin_;
  const uint64_t data_bytes_;
  JsonScanner json_;
  bool seen_metadata_ = false;
  std::string name_;             // of the tensor at hand
  std::string unknown_dtype_;    // its dtype, when it is not known
  std::vector<uint64_t> shape_;  // likewise
  size_t sampled_dims_ = 0;      // of the tensors so far
  size_t sampled_name_bytes_ = 0;
  // Of tensors whose dtype is not known: offset and bytes; the error about the first.
  std::vector<std::pair<uint64_t, uint64_t>> unknown_extents_;
  Status unsupported_;
  FileContents& contents_;
};

// What a header begins with. Leading white space is accepted as the reference
// does; all else, a byte order mark for one, is not.
bool BeginsWithBrace(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r\n");
  return start != std::string_view::npos && text[start] == '{';
}

Status NoBrace() { return AtOffset(Corrupt("header: it does not begin with '{'"), kLengthBytes); }

// The length of the JSON text, from the file's first bytes.
StatusOr<uint64_t> HeaderLength(ByteSource& file) {
  uint64_t length = 0;
  if (file.size() < sizeof length) return CutOffWithin(file.size(), "the length of its header");
  RETURN_IF_ERROR(file.Read(0, std::as_writable_bytes(std::span(&length, 1))));
  if (length > kMaxSafetensorsHeaderBytes) {
    return Corrupt(fmt::format("the header's length is {}, at most {} is allowed", length,
                               kMaxSafetensorsHeaderBytes));
  }
  if (length > file.size() - sizeof length) {
    ASSIGN_OR_RETURN(const std::string begin,
                     ReadText(file, sizeof length, std::min(file.size() - sizeof length, kLook)));
    if (!begin.empty() && !BeginsWithBrace(begin)) return NoBrace();
    return CutOffWithin(file.size(),
                        fmt::format("its header, which ends at {}", sizeof length + length));
  }
  return length;
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
  return EndsWithIgnoreCase(start.name, ".safetensors") ? Match::kByName : Match::kNo;
}

Status SafetensorsReader::Read(ByteSource& file, OtherFiles&, FileContents& contents) const {
  ASSIGN_OR_RETURN(const uint64_t length, HeaderLength(file));
  const auto buffer = std::make_unique_for_overwrite<char[]>(length);
  RETURN_IF_ERROR(
      file.Read(kLengthBytes, std::as_writable_bytes(std::span(buffer.get(), length))));
  const std::string_view text(buffer.get(), length);
  if (!BeginsWithBrace(text)) {
    return NoBrace();
  }
  const uint64_t data_begin = kLengthBytes + length;
  return HeaderParser(text, data_begin, file.size() - data_begin, contents).Parse();
}

}  // namespace warmset

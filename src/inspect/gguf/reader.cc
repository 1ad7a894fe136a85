#include "inspect/gguf/reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/byte_reader.h"
#include "base/utf8.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "inspect/cut_off.h"
#include "inspect/gguf/metadata.h"
#include "inspect/gguf/split.h"
#include "inspect/gguf/tensor_types.h"
#include "inspect/weight_sets.h"

namespace warmset {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kFirstVersion = 2;
constexpr uint32_t kLastVersion = 3;

constexpr uint64_t kNameCapacity = 64;  // with the NUL behind it
constexpr uint32_t kMaxGgmlDims = 4;
// ComfyUI-GGUF keeps the 5-D convolutions of video models, which ggml has no room for.
constexpr uint32_t kMaxDims = 5;
constexpr uint64_t kMaxElements = std::numeric_limits<int64_t>::max();
// The least that the description of a tensor takes: no name, no dims.
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;
// Our own limit: more than a hundred times what the largest models have.
constexpr uint64_t kMaxTensors = uint64_t{1} << 20;

// Formats that came before, by their first bytes (a u32 of the letters reversed).
// Source: llama.cpp's convert_llama_ggml_to_gguf.py.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kForerunners = {
    {{"lmgg", "GGML"}, {"fmgg", "GGMF"}, {"tjgg", "GGJT"}, {"algg", "GGLA"}}};

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }
Status Unsupported(std::string_view what) { return Error(ErrorCode::kUnsupportedFormat, what); }

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The name of an older format that begins like this; empty when it is none.
std::string_view ForerunnerOf(std::string_view begin) {
  for (const auto& [magic, name] : kForerunners) {
    if (begin.starts_with(magic)) return name;
  }
  return {};
}

Status CheckMagic(std::string_view magic) {
  if (magic == kMagic) return OkStatus();
  if (const std::string_view forerunner = ForerunnerOf(magic); !forerunner.empty()) {
    return Unsupported(
        fmt::format("{}, a format from before GGUF, is not read; convert the model "
                    "to GGUF, or download it as GGUF",
                    forerunner));
  }
  return AtOffset(Corrupt("it does not begin with 'GGUF'"), 0);
}

Status CheckVersion(uint32_t version) {
  if (version >= kFirstVersion && version <= kLastVersion) return OkStatus();
  if (version == 1) {
    return Unsupported(
        "GGUF version 1 (of 2023) is not read; download the model again, or make it again from "
        "the original weights with a current llama.cpp");
  }
  if (version != 0 && (version & 0xFFFF) == 0) {
    return Unsupported(fmt::format(
        "GGUF version {} in big-endian byte order is not read; convert the file with gguf-py's "
        "gguf-convert-endian, or download a little-endian one",
        __builtin_bswap32(version)));
  }
  return Unsupported(fmt::format("GGUF version {} is not read here, only {} to {} are; {}", version,
                                 kFirstVersion, kLastVersion,
                                 version == 0 ? "make the file again" : "update Warmset"));
}

// Reads the list of tensors, and lays them out behind it.
class TensorReader {
 public:
  TensorReader(SourceReader& in, const GgufTensorHints& hints, FileContents& contents)
      : in_(in),
        hints_(hints),
        alignment_(hints.alignment),
        tensors_(contents.tensors),
        findings_(contents.findings) {}

  // Where the padding behind the last tensor ends; call after Place(). Nothing behind
  // one of an unknown size.
  std::optional<uint64_t> end() const { return end_; }

  Status Read(uint64_t count) {
    if (count > kMaxTensors) {
      return Unsupported(fmt::format("it has {} tensors; at most {} are read", count, kMaxTensors));
    }
    tensors_.Reserve(count, 2 * count, 32 * count);
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t begin = in_.offset();
      name_.reset();
      const Status status = AtOffset(ReadTensor(), begin);
      if (status.ok()) continue;
      return Annotate(status, name_ ? fmt::format("tensor '{}'", ForMessage(*name_))
                                    : fmt::format("name of tensor {} of {}", i + 1, count));
    }
    if (const auto twice = tensors_.FindDuplicateName()) {
      return Corrupt(fmt::format("two tensors named '{}'", tensors_[*twice].name));
    }
    return OkStatus();
  }

  // Offsets counted from where the data begins; from now on, from the file's start.
  Status Place(ByteSource& file) {
    const auto begin = AlignedUp(in_.offset());
    if (!begin) return Corrupt("its alignment leads out of all files");
    // The tensors' offsets rise; their sums were checked.
    uint64_t last = 0;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      last = std::max(last, tensors_[i].offset + tensors_[i].bytes);
    }
    const uint64_t promised = CheckedAdd(*begin, last).value_or(UINT64_MAX);
    if (promised > file.size()) {
      tensors_ = {};  // none can be handed out
      return CutOff(file.size(), promised);
    }
    if (next_offset_) end_ = *begin + *next_offset_;
    if (end_ && *end_ > file.size()) {
      findings_.push_back({.path = "",
                           .message = "the padding behind the last tensor is missing",
                           .offset = file.size()});
    }
    tensors_.ShiftOffsets(*begin);
    return unsupported_;
  }

 private:
  Status ReadTensor() {
    RETURN_IF_ERROR(ReadName());
    RETURN_IF_ERROR(ReadShape());
    ASSIGN_OR_RETURN(const auto type, in_.Read<uint32_t>());
    ASSIGN_OR_RETURN(const auto offset, in_.Read<uint64_t>());
    RETURN_IF_ERROR(CheckOffset(offset));
    const auto dtype = DTypeOfGgmlType(type);
    if (!dtype.ok()) {
      const bool unsupported = CodeOf(dtype.status()) == ErrorCode::kUnsupportedFormat;
      return unsupported ? LeaveOut(dtype.status()) : dtype.status();
    }
    TensorView tensor;
    tensor.name = *name_;
    tensor.dtype = *dtype;
    tensor.shape = shape_;
    tensor.offset = offset;
    ASSIGN_OR_RETURN(tensor.bytes, BytesOf(*dtype));
    const auto end = CheckedAdd(offset, tensor.bytes);
    next_offset_ = end ? AlignedUp(*end) : std::nullopt;
    if (!next_offset_) return Corrupt("the sizes of the tensors up to it overflow");
    tensor.shape = LogicalShape();
    return tensors_.Add(tensor);
  }

  // The shape before the tensor was made to fit ggml, if the metadata has it.
  std::span<const uint64_t> LogicalShape() {
    if (shape_.size() > kMaxGgmlDims) {
      Warn(
          fmt::format("tensor '{}' has {} dimensions, as ComfyUI-GGUF writes them for video "
                      "models; llama.cpp reads at most {} and refuses the file",
                      ForMessage(*name_), shape_.size(), kMaxGgmlDims));
    }
    const auto original = hints_.original_shapes.find(*name_);
    if (original == hints_.original_shapes.end()) return shape_;
    if (ElementsOf(original->second) == ElementsOf(shape_)) return original->second;
    Warn(fmt::format(
        "tensor '{}': its comfy.gguf.orig_shape [{}] has another number of elements "
        "than its shape [{}]; it is left out of account",
        ForMessage(*name_), fmt::join(original->second, ", "), fmt::join(shape_, ", ")));
    return shape_;
  }

  void Warn(std::string message) {
    if (warnings_++ < kMaxWarnings) {
      findings_.push_back({.path = "", .message = std::move(message)});
    }
  }

  // As the reference keeps names: up to a NUL.
  Status ReadName() {
    ASSIGN_OR_RETURN(const uint64_t bytes, ReadGgufStringLength(in_));
    if (bytes >= kNameCapacity) {
      return Corrupt(
          fmt::format("it has {} bytes, at most {} are allowed", bytes, kNameCapacity - 1));
    }
    ASSIGN_OR_RETURN(std::string name, in_.ReadString(bytes, kNameCapacity));
    name.resize(std::min(name.size(), name.find('\0')));
    if (!IsUtf8(name)) return Corrupt(fmt::format("'{}' is not UTF-8", ForMessage(name)));
    name_ = std::move(name);
    return OkStatus();
  }

  // The file has the innermost dimension first.
  Status ReadShape() {
    ASSIGN_OR_RETURN(const auto rank, in_.Read<uint32_t>());
    if (rank > kMaxDims) {
      return Corrupt(fmt::format("it has {} dimensions, at most {} are allowed", rank, kMaxDims));
    }
    shape_.resize(rank);
    for (uint32_t i = 0; i < rank; ++i) {
      ASSIGN_OR_RETURN(const auto dim, in_.Read<int64_t>());
      if (dim < 0) return Corrupt(fmt::format("dimension {} is {}", i, dim));
      shape_[rank - 1 - i] = static_cast<uint64_t>(dim);
    }
    return OkStatus();
  }

  StatusOr<uint64_t> BytesOf(DType dtype) const {
    const auto& block = internal::DTypeRowOf(dtype);
    const uint64_t row = shape_.empty() ? 1 : shape_.back();
    if (row % block.block_elements != 0) {
      return Corrupt(
          fmt::format("a row of {} elements is no whole number of {} blocks, which have "
                      "{}",
                      row, block.name, block.block_elements));
    }
    const auto elements = ElementsOf(shape_);
    const auto bytes = elements ? DTypeBytes(dtype, *elements) : std::nullopt;
    if (!bytes || *elements >= kMaxElements) {
      return Corrupt("the product of its dimensions overflows");
    }
    return *bytes;
  }

  // Each tensor begins where the padding behind the one before it ends. Behind one
  // of an unknown size, not before where that begins.
  Status CheckOffset(uint64_t offset) const {
    if (next_offset_ ? offset == *next_offset_
                     : offset >= least_offset_ && AlignedUp(offset) == offset) {
      return OkStatus();
    }
    return Corrupt(fmt::format("its offset is {}, and has to be {}{}", offset,
                               next_offset_ ? "" : "a multiple of the alignment from ",
                               next_offset_.value_or(least_offset_)));
  }

  // What follows may still show that the file is broken.
  Status LeaveOut(const Status& reason) {
    if (unsupported_.ok()) {
      unsupported_ = Annotate(reason, fmt::format("tensor '{}'", ForMessage(*name_)));
    }
    least_offset_ = next_offset_.value_or(least_offset_);
    next_offset_.reset();
    return OkStatus();
  }

  std::optional<uint64_t> AlignedUp(uint64_t offset) const {
    const auto sum = CheckedAdd(offset, alignment_ - 1);
    return sum ? std::optional(*sum / alignment_ * alignment_) : std::nullopt;
  }

  static constexpr size_t kMaxWarnings = 5;

  SourceReader& in_;
  const GgufTensorHints& hints_;
  const uint64_t alignment_;
  TensorTable& tensors_;
  std::vector<Finding>& findings_;
  size_t warnings_ = 0;
  std::optional<std::string> name_;  // of the tensor at hand, once it is read
  std::vector<uint64_t> shape_;      // of the tensor at hand
  // Where the next tensor has to begin; nothing behind one of an unknown size.
  std::optional<uint64_t> next_offset_ = 0;
  uint64_t least_offset_ = 0;
  std::optional<uint64_t> end_;
  Status unsupported_;  // about the first tensor that was left out
};

// Whether another GGUF file follows the tensors: parts that were joined byte by byte.
Status CheckNothingJoined(ByteSource& file, uint64_t end, FileContents& contents) {
  if (end >= file.size() || file.size() - end < kMagic.size()) return OkStatus();
  ASSIGN_OR_RETURN(const std::string magic, ReadText(file, end, kMagic.size()));
  if (magic != kMagic) return OkStatus();
  if (GgufPartCount(contents) > 1) return AtOffset(JoinedParts(contents, end), end);
  contents.findings.push_back(
      {.path = "",
       .message = fmt::format("another GGUF file follows its last tensor, at offset {}; it is "
                              "left out",
                              end),
       .offset = end});
  return OkStatus();
}

Status ReadFile(SourceReader& in, ByteSource& file, FileContents& contents) {
  ASSIGN_OR_RETURN(const auto magic, in.ReadString(kMagic.size(), kMagic.size()));
  RETURN_IF_ERROR(CheckMagic(magic));
  ASSIGN_OR_RETURN(const auto version, in.Read<uint32_t>());
  contents.format_version = fmt::format(
      "{}", version != 0 && (version & 0xFFFF) == 0 ? __builtin_bswap32(version) : version);
  RETURN_IF_ERROR(AtOffset(CheckVersion(version), kMagic.size()));

  const uint64_t counts_at = in.offset();
  ASSIGN_OR_RETURN(const auto tensors, in.Read<int64_t>());
  ASSIGN_OR_RETURN(const auto pairs, in.Read<int64_t>());
  const auto too_many = [&](int64_t count, uint64_t least_bytes) {
    return count < 0 || static_cast<uint64_t>(count) > in.remaining() / least_bytes;
  };
  if (too_many(tensors, kMinTensorBytes) || too_many(pairs, kMinGgufPairBytes)) {
    const std::string says = fmt::format("{} tensors and {} metadata keys", tensors, pairs);
    const bool plausible = tensors >= 0 && static_cast<uint64_t>(tensors) <= kMaxTensors &&
                           pairs >= 0 && static_cast<uint64_t>(pairs) <= kMaxGgufPairs;
    if (plausible) return CutOffWithin(file.size(), "its header of " + says);
    return AtOffset(Corrupt(fmt::format("it says that it has {}, which do not fit into its {} "
                                        "bytes",
                                        says, file.size())),
                    counts_at);
  }
  ASSIGN_OR_RETURN(const GgufTensorHints hints,
                   ReadGgufMetadata(in, static_cast<uint64_t>(pairs), contents));
  if (tensors == 0) return OkStatus();  // then there is no data either
  TensorReader reader(in, hints, contents);
  RETURN_IF_ERROR(reader.Read(static_cast<uint64_t>(tensors)));
  const Status placed = reader.Place(file);
  if (reader.end()) RETURN_IF_ERROR(CheckNothingJoined(file, *reader.end(), contents));
  return placed;
}

}  // namespace

FormatReader::Match GgufReader::Recognise(const FileStart& start) const {
  const std::string_view begin = TextOf(start.bytes);
  if (begin.starts_with(kMagic) || !ForerunnerOf(begin).empty()) return Match::kByContent;
  return EndsWithIgnoreCase(start.name, ".gguf") ? Match::kByName : Match::kNo;
}

Status GgufReader::Read(ByteSource& file, OtherFiles&, FileContents& contents) const {
  SourceReader in(file);
  return ReadFile(in, file, contents);
}

}  // namespace warmset

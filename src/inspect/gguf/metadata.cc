#include "inspect/gguf/metadata.h"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/digest.h"
#include "base/utf8.h"
#include "fmt/format.h"
#include "inspect/cut_off.h"
#include "tensor/tensor_index.h"

namespace warmset {
namespace {

// Source of the types and limits: the GGUF specification (ggml's docs/gguf.md), and
// ggml's gguf.cpp.
enum class ValueType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};
constexpr uint32_t NumberOf(ValueType type) { return static_cast<uint32_t>(type); }
// By number; 0: the size is not fixed.
constexpr std::array<uint64_t, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

constexpr uint64_t kMaxStringBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxArrayElements = uint64_t{1} << 30;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr std::string_view kOriginalShape = "comfy.gguf.orig_shape.";

// Our own limits. Arrays of strings are walked: those of the largest tokenizers
// take some ten MB.
constexpr uint64_t kMaxWalkedBytes = 128 * kMiB;
constexpr uint64_t kMaxKeptValueBytes = 4 * kKiB;
constexpr uint64_t kMaxKeptBytes = kMiB;
constexpr size_t kMaxWarnings = 20;
constexpr size_t kMaxOriginalShapes = 100'000;

using KeyDigest = Digest128<struct KeyDigestTag>;

Status Corrupt(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

class MetadataReader {
 public:
  MetadataReader(SourceReader& in, FileContents& contents) : in_(in), contents_(contents) {}

  GgufTensorHints TakeHints() { return std::move(hints_); }

  Status Read(uint64_t pairs) {
    if (pairs > kMaxGgufPairs) {
      return Error(ErrorCode::kUnsupportedFormat, fmt::format("it has {} metadata keys; at most {} "
                                                              "are read",
                                                              pairs, kMaxGgufPairs));
    }
    for (uint64_t i = 0; i < pairs; ++i) {
      const uint64_t begin = in_.offset();
      auto key = ReadKey();
      if (!key.ok()) {
        const Status status = AtOffset(key.status(), begin);
        return Annotate(status, fmt::format("metadata key {} of {}", i + 1, pairs));
      }
      const Status status = AtOffset(ReadValue(*key), begin);
      if (!status.ok()) return Annotate(status, fmt::format("metadata '{}'", ForMessage(*key)));
    }
    return OkStatus();
  }

 private:
  StatusOr<std::string> ReadKey() {
    ASSIGN_OR_RETURN(const uint64_t bytes, ReadGgufStringLength(in_));
    if (bytes == 0) return Corrupt("it is empty");
    if (bytes > kMaxKeyBytes) {
      return Corrupt(fmt::format("it has {} bytes, at most {} are allowed", bytes, kMaxKeyBytes));
    }
    ASSIGN_OR_RETURN(std::string key, in_.ReadString(bytes, kMaxKeyBytes));
    if (!keys_.insert(DigestOf<KeyDigest>(AsBytes(key))).second) {
      return Corrupt(fmt::format("'{}' is there twice", ForMessage(key)));
    }
    return key;
  }

  Status ReadValue(const std::string& key) {
    ASSIGN_OR_RETURN(const ValueType type, ReadType());
    if (key == kAlignmentKey) return ReadAlignment(type);
    switch (type) {
      case ValueType::kArray:
        return ReadArray(key);
      case ValueType::kString:
        return ReadText(key);
      case ValueType::kBool:
        return ReadBool(key);
      case ValueType::kU8:
        return ReadNumber<uint8_t>(key);
      case ValueType::kI8:
        return ReadNumber<int8_t>(key);
      case ValueType::kU16:
        return ReadNumber<uint16_t>(key);
      case ValueType::kI16:
        return ReadNumber<int16_t>(key);
      case ValueType::kU32:
        return ReadNumber<uint32_t>(key);
      case ValueType::kI32:
        return ReadNumber<int32_t>(key);
      case ValueType::kU64:
        return ReadNumber<uint64_t>(key);
      case ValueType::kI64:
        return ReadNumber<int64_t>(key);
      case ValueType::kF32:
        return ReadNumber<float>(key);
      case ValueType::kF64:
        return ReadNumber<double>(key);
    }
    return OkStatus();
  }

  StatusOr<ValueType> ReadType() {
    ASSIGN_OR_RETURN(const auto number, in_.Read<uint32_t>());
    if (number >= kValueBytes.size()) {
      return Corrupt(fmt::format("no type of values has the number {}", number));
    }
    return static_cast<ValueType>(number);
  }

  Status ReadAlignment(ValueType type) {
    if (type != ValueType::kU32) {
      return Corrupt(fmt::format("it has to be a u32 (type {}), and is of type {}",
                                 NumberOf(ValueType::kU32), NumberOf(type)));
    }
    ASSIGN_OR_RETURN(const auto alignment, in_.Read<uint32_t>());
    if (!std::has_single_bit(alignment)) {
      return Corrupt(fmt::format("{} is no power of two", alignment));
    }
    hints_.alignment = alignment;
    Keep(kAlignmentKey, fmt::format("{}", alignment));
    return OkStatus();
  }

  template <typename T>
  Status ReadNumber(const std::string& key) {
    ASSIGN_OR_RETURN(const T value, in_.Read<T>());
    if constexpr (sizeof(T) == 1) {
      Keep(key, fmt::format("{}", int{value}));  // a number, not a character
    } else {
      Keep(key, fmt::format("{}", value));
    }
    return OkStatus();
  }

  // The reference takes anything but 0 for true.
  Status ReadBool(const std::string& key) {
    ASSIGN_OR_RETURN(const auto value, in_.Read<uint8_t>());
    if (value > 1) {
      Warn(fmt::format("metadata '{}': a bool is 0 or 1, this one is {}", ForMessage(key), value));
    }
    Keep(key, value != 0 ? "true" : "false");
    return OkStatus();
  }

  // Only the beginning is kept of a chat template and the like.
  Status ReadText(const std::string& key) {
    ASSIGN_OR_RETURN(const uint64_t bytes, ReadGgufStringLength(in_));
    const uint64_t kept = std::min(bytes, kMaxKeptValueBytes);
    ASSIGN_OR_RETURN(std::string text, in_.ReadString(kept, kept));
    RETURN_IF_ERROR(in_.Skip(bytes - kept));
    if (kept < bytes) text.resize(CharacterBoundary(text));
    Keep(key, std::move(text));
    return OkStatus();
  }

  Status ReadArray(const std::string& key) {
    ASSIGN_OR_RETURN(const ValueType type, ReadType());
    ASSIGN_OR_RETURN(const auto count, in_.Read<uint64_t>());
    if (type == ValueType::kArray) return Corrupt("an array in an array");
    if (count > kMaxArrayElements) {
      return Corrupt(
          fmt::format("an array of {} elements, at most {} are allowed", count, kMaxArrayElements));
    }
    const uint64_t fixed = kValueBytes[NumberOf(type)];
    const uint64_t least = count * (fixed != 0 ? fixed : sizeof(uint64_t));
    if (least > in_.remaining()) {
      return CutOffWithin(in_.offset() + in_.remaining(),
                          fmt::format("an array of {} elements", count));
    }
    if (key.starts_with(kOriginalShape) && type == ValueType::kI32 && count <= kMaxTensorRank &&
        hints_.original_shapes.size() < kMaxOriginalShapes) {
      return ReadOriginalShape(key, count);
    }
    RETURN_IF_ERROR(fixed != 0 ? in_.Skip(least) : SkipStrings(count));
    Keep(key, fmt::format("[{}]", count));
    return OkStatus();
  }

  Status ReadOriginalShape(const std::string& key, uint64_t rank) {
    std::vector<uint64_t> shape;
    for (uint64_t i = 0; i < rank; ++i) {
      ASSIGN_OR_RETURN(const auto dim, in_.Read<int32_t>());
      if (dim < 0) return Corrupt(fmt::format("dimension {} is {}", i, dim));
      shape.push_back(static_cast<uint64_t>(dim));
    }
    hints_.original_shapes.emplace(key.substr(kOriginalShape.size()), std::move(shape));
    Keep(key, fmt::format("[{}]", rank));
    return OkStatus();
  }

  Status SkipStrings(uint64_t count) {
    const uint64_t begin = in_.offset();
    for (uint64_t i = 0; i < count; ++i) {
      ASSIGN_OR_RETURN(const uint64_t bytes, ReadGgufStringLength(in_));
      RETURN_IF_ERROR(in_.Skip(bytes));
      if (walked_bytes_ + (in_.offset() - begin) > kMaxWalkedBytes) {
        return Error(ErrorCode::kUnsupportedFormat,
                     fmt::format("its arrays of strings take more than the {} bytes that are read",
                                 kMaxWalkedBytes));
      }
    }
    walked_bytes_ += in_.offset() - begin;
    return OkStatus();
  }

  // Where to cut text that was cut off anywhere, so that no character is halved.
  static size_t CharacterBoundary(std::string_view text) {
    constexpr size_t kMaxCharacterBytes = 4;
    for (size_t i = text.size(); i + kMaxCharacterBytes > text.size() && i > 0; --i) {
      const auto byte = static_cast<unsigned char>(text[i - 1]);
      if (byte < 0x80) return i;       // ASCII
      if (byte >= 0xC0) return i - 1;  // starts a character, which may be halved
    }
    return text.size();
  }

  void Keep(std::string_view key, std::string value) {
    const uint64_t bytes = key.size() + value.size();
    if (bytes > kMaxKeptBytes - kept_bytes_) {
      if (!std::exchange(full_, true)) {
        Warn(fmt::format("only the first {} bytes of its metadata are listed", kMaxKeptBytes));
      }
      return;
    }
    kept_bytes_ += bytes;
    contents_.metadata.emplace(ToUtf8(key), ToUtf8(value));
  }

  void Warn(std::string message) {
    if (contents_.findings.size() == kMaxWarnings) return;
    Finding finding;
    finding.message = std::move(message);
    finding.offset = in_.offset();
    contents_.findings.push_back(std::move(finding));
  }

  SourceReader& in_;
  FileContents& contents_;
  GgufTensorHints hints_;
  absl::flat_hash_set<KeyDigest, std::hash<KeyDigest>> keys_;
  uint64_t kept_bytes_ = 0;
  bool full_ = false;
  uint64_t walked_bytes_ = 0;
};

}  // namespace

StatusOr<uint64_t> ReadGgufStringLength(SourceReader& in) {
  ASSIGN_OR_RETURN(const auto bytes, in.Read<uint64_t>());
  if (bytes > kMaxStringBytes) {
    return Corrupt(
        fmt::format("a string of {} bytes, at most {} are allowed", bytes, kMaxStringBytes));
  }
  if (bytes > in.remaining()) {
    return CutOffWithin(in.offset() + in.remaining(), fmt::format("a string of {} bytes", bytes));
  }
  return bytes;
}

std::string ForMessage(std::string_view text) {
  constexpr size_t kMaxBytes = 80;
  return text.size() <= kMaxBytes ? ToUtf8(text) : ToUtf8(text.substr(0, kMaxBytes)) + "...";
}

StatusOr<GgufTensorHints> ReadGgufMetadata(SourceReader& in, uint64_t pairs,
                                           FileContents& contents) {
  MetadataReader reader(in, contents);
  RETURN_IF_ERROR(reader.Read(pairs));
  return reader.TakeHints();
}

}  // namespace warmset

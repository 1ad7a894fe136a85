#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/strong.h"
#include "fmt/format.h"
#include "inspect/pytorch/forms.h"
#include "inspect/shown.h"

namespace warmset {
namespace {

// POSIX ustar, and what was before it: a header of 512 bytes, then the content,
// padded to as many.
constexpr uint64_t kBlock = 512;
constexpr size_t kNameBytes = 100;
constexpr size_t kSizeAt = 124;
constexpr size_t kChecksumAt = 148;
constexpr size_t kChecksumBytes = 8;
constexpr size_t kMaxEntries = 1000;

using Header = std::span<const std::byte, kBlock>;

std::string_view TextAt(Header header, size_t at, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(header.data()) + at, bytes);
  return text.substr(0, text.find('\0'));
}

std::optional<uint64_t> OctalAt(Header header, size_t at, size_t bytes) {
  std::string_view text = TextAt(header, at, bytes);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || (end != text.data() + text.size() && *end != ' ')) {
    return std::nullopt;
  }
  return value;
}

bool IsHeader(Header header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const bool in_checksum = i >= kChecksumAt && i < kChecksumAt + kChecksumBytes;
    sum += in_checksum ? uint64_t{' '} : std::to_integer<uint64_t>(header[i]);
  }
  return OctalAt(header, kChecksumAt, kChecksumBytes) == sum;
}

bool IsPickleName(std::string_view name) {
  return name == "pickle" || name == "sys_info" || name == "storages" || name == "tensors" ||
         name.ends_with(".pkl");
}

}  // namespace

bool IsTar(std::span<const std::byte> start) {
  return start.size() >= kBlock && IsHeader(start.first<kBlock>()) &&
         !TextAt(start.first<kBlock>(), 0, kNameBytes).empty();
}

Status ReadTarForm(ByteSource& file, Problems& problems) {
  std::array<std::byte, kBlock> block;
  PickleBudget budget;
  bool is_model = false;
  uint64_t at = 0;
  for (size_t i = 0; i < kMaxEntries && file.size() - at >= kBlock; ++i) {
    RETURN_IF_ERROR(file.Read(at, block));
    const Header header(block);
    if (!IsHeader(header)) break;
    const std::string name(TextAt(header, 0, kNameBytes));
    const uint64_t begin = at + kBlock;
    const auto bytes = OctalAt(header, kSizeAt, 12);
    if (!bytes || *bytes > file.size() - begin) {
      problems.Add(AtOffset(Error(ErrorCode::kCorruptedModel,
                                  fmt::format("entry '{}' does not lie within the file: it is cut "
                                              "off",
                                              Shown(name))),
                            at));
      break;
    }
    if (name.starts_with('/') || name.starts_with("../") || name.find("/../") != std::string::npos) {
      problems.Add(AtOffset(Error(ErrorCode::kUnsafeModel,
                                  fmt::format("entry '{}' would be unpacked outside of its folder",
                                              Shown(name))),
                            at));
    }
    is_model = is_model || name == "pickle";
    if (IsPickleName(name)) {
      SourcePart part(file, begin, *bytes);
      RETURN_IF_ERROR(LookThroughPickles(part, 0, {.name = name, .file_offset = begin}, budget,
                                         problems));
    }
    const uint64_t padded = AlignUp(*bytes, kBlock);
    if (padded > file.size() - begin) break;
    at = begin + padded;
  }
  problems.Add(is_model ? Error(ErrorCode::kUnsupportedFormat,
                                "it is a tar archive, as PyTorch wrote before 0.2; load it with "
                                "torch.load(weights_only=False) where its origin is trusted, and "
                                "save its state dict as safetensors")
                        : Error(ErrorCode::kUnrecognizedFormat,
                                "it is a tar archive that holds no model; unpack it first if one "
                                "is deeper in it"));
  return OkStatus();
}

}  // namespace warmset

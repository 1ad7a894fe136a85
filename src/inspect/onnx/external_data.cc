#include "inspect/onnx/external_data.h"

#include <charconv>

#include "base/byte_reader.h"
#include "fmt/format.h"
#include "inspect/cut_off.h"

namespace warmset::onnx {
namespace {

// One file per tensor is usual for some exporters.
constexpr size_t kMaxFiles = 4096;
// What ONNX Runtime takes for an address in its own memory.
constexpr std::string_view kMemoryAddressMark = "_ORT_MEM_ADDR_";

Status Unsafe(std::string_view location, std::string_view why) {
  return Error(ErrorCode::kUnsafeModel,
               fmt::format("its external data is in '{}', {}; don't load this model, and get it "
                           "from a source you trust",
                           Shown(location), why));
}

bool IsDrive(std::string_view location) {
  const char letter = location.size() < 2 ? '\0' : static_cast<char>(location[0] | 0x20);
  return letter >= 'a' && letter <= 'z' && location[1] == ':';
}

StatusOr<uint64_t> ParseNumber(std::string_view key, std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  return Error(ErrorCode::kCorruptedModel,
               fmt::format("its external data has the {} '{}', which is no number of bytes", key,
                           Shown(text)));
}

}  // namespace

StatusOr<std::string> CheckLocation(std::string_view location) {
  if (location.find('\0') != std::string_view::npos) return Unsafe(location, "with a NUL in it");
  if (location.find(kMemoryAddressMark) != std::string_view::npos) {
    return Unsafe(location, "an address in the memory of its loader");
  }
  if (location.starts_with('/') || location.starts_with('\\') || IsDrive(location)) {
    return Unsafe(location, "an absolute path");
  }
  std::string path;
  for (size_t begin = 0; begin <= location.size();) {
    const size_t end = std::min(location.find('/', begin), location.size());
    const std::string_view part = location.substr(begin, end - begin);
    begin = end + 1;
    // What another system takes for a separator counts as one.
    for (size_t at = 0; at <= part.size();) {
      const size_t stop = std::min(part.find('\\', at), part.size());
      if (part.substr(at, stop - at) == "..") return Unsafe(location, "outside of its folder");
      at = stop + 1;
    }
    if (part.empty() || part == ".") continue;
    if (!path.empty()) path += '/';
    path += part;
  }
  if (path.empty()) {
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("its external data is in '{}', which names no file", Shown(location)));
  }
  return path;
}

StatusOr<ExternalPlace> ExternalData::Find(const ExternalEntries& entries) {
  if (!entries.location) {
    return Error(ErrorCode::kCorruptedModel, "its data is external, without a location");
  }
  ASSIGN_OR_RETURN(const std::string path, CheckLocation(*entries.location));
  uint64_t offset = 0;
  std::optional<uint64_t> length;
  if (entries.offset) {
    ASSIGN_OR_RETURN(offset, ParseNumber("offset", *entries.offset));
  }
  if (entries.length) {
    ASSIGN_OR_RETURN(length, ParseNumber("length", *entries.length));
  }
  ASSIGN_OR_RETURN(const Opened file, Open(path));
  RETURN_IF_ERROR(file.status);
  const uint64_t end = CheckedAdd(offset, length.value_or(0)).value_or(UINT64_MAX);
  if (end > file.size) {
    return Annotate(CutOff(file.size, end), fmt::format("its external data '{}'", Shown(path)));
  }
  return ExternalPlace{
      .file = file.file, .offset = offset, .bytes = length.value_or(file.size - offset)};
}

StatusOr<ExternalData::Opened> ExternalData::Open(const std::string& path) {
  const auto known = opened_.find(path);
  if (known != opened_.end()) return known->second;
  if (opened_.size() == kMaxFiles) {
    return Problems::Limit(fmt::format("it names more than {} files of external data", kMaxFiles));
  }
  Opened file;
  const auto source = others_.Open(path);
  if (source.ok()) {
    contents_.other_files.push_back(path);
    file.file = static_cast<uint32_t>(contents_.other_files.size());
    file.size = (*source)->size();
  } else {
    file.status = source.status();
  }
  return opened_.emplace(path, std::move(file)).first->second;
}

}  // namespace warmset::onnx

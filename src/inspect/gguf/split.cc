#include "inspect/gguf/split.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "absl/container/flat_hash_set.h"
#include "fmt/format.h"
#include "inspect/weight_sets.h"

namespace warmset {
namespace {

constexpr std::string_view kNumberKey = "split.no";  // from 0 on
constexpr std::string_view kCountKey = "split.count";
constexpr std::string_view kTensorsKey = "split.tensors.count";

constexpr size_t kDigits = 5;
constexpr std::string_view kSuffix = ".gguf";

template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(number) : std::nullopt;
}

std::optional<int64_t> NumberIn(const FileContents& file, std::string_view key) {
  const auto found = file.metadata.find(std::string(key));
  return found == file.metadata.end() ? std::nullopt : ParseNumber<int64_t>(found->second);
}

// Takes `text` off the end.
bool ConsumeSuffix(std::string_view& name, std::string_view text) {
  if (!name.ends_with(text)) return false;
  name.remove_suffix(text.size());
  return true;
}

std::optional<uint32_t> ConsumeDigits(std::string_view& name) {
  if (name.size() < kDigits) return std::nullopt;
  const auto number = ParseNumber<uint32_t>(name.substr(name.size() - kDigits));
  name.remove_suffix(kDigits);
  return number;
}

Status Missing(const std::string& name) {
  return Error(ErrorCode::kIncompleteModel,
               fmt::format("the part {} is not there; download it again", name));
}

// Whether a file's metadata says what its name does.
Status CheckNumbers(const FileContents& file, int64_t number, int64_t count) {
  const auto says_number = NumberIn(file, kNumberKey);
  const auto says_count = NumberIn(file, kCountKey);
  if (says_number == number - 1 && says_count == count) return OkStatus();
  const auto shown = [](std::optional<int64_t> value) {
    return value ? fmt::format("{}", *value) : "missing";
  };
  return Error(
      ErrorCode::kCorruptedModel,
      fmt::format("by its name it is part {} of {}, and not by its metadata: {} is {}, "
                  "{} is {}",
                  number, count, kNumberKey, shown(says_number), kCountKey, shown(says_count)));
}

}  // namespace

std::optional<GgufPartName> ParseGgufPartName(std::string_view name) {
  const std::string_view whole = name;
  if (!EndsWithIgnoreCase(name, kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  const auto count = ConsumeDigits(name);
  if (!count || !ConsumeSuffix(name, "-of-")) return std::nullopt;
  const auto number = ConsumeDigits(name);
  if (!number || !ConsumeSuffix(name, "-") || name.empty()) return std::nullopt;
  if (*number == 0 || *number > *count) return std::nullopt;
  return GgufPartName{std::string(name), *number, *count,
                      std::string(whole.substr(whole.size() - kSuffix.size()))};
}

std::string FormatGgufPartName(const GgufPartName& part) {
  return fmt::format("{}-{:05}-of-{:05}{}", part.stem, part.number, part.count, part.suffix);
}

uint64_t GgufPartCount(const FileContents& file) {
  return static_cast<uint64_t>(std::max<int64_t>(NumberIn(file, kCountKey).value_or(1), 1));
}

Status JoinedParts(const FileContents& file, uint64_t second_at) {
  const auto promised = NumberIn(file, kTensorsKey);
  return Error(
      ErrorCode::kIncompleteModel,
      fmt::format("the parts of a split GGUF were joined byte by byte (`cat`), which no program "
                  "reads: a second GGUF header follows the tensors at offset {}, and {} tensors "
                  "are before it, of {} in all {} parts; cut the file apart there and name the "
                  "parts as llama.cpp does (x-00001-of-{:05}.gguf), or download them and join "
                  "them with llama-gguf-split --merge",
                  second_at, file.tensors.size(),
                  promised ? fmt::format("{}", *promised) : std::string("more"),
                  GgufPartCount(file), GgufPartCount(file)));
}

Status CheckGgufParts(std::span<const FileContents* const> parts) {
  const auto count = static_cast<int64_t>(parts.size());
  int64_t tensors = 0;
  for (int64_t i = 0; i < count; ++i) {
    const FileContents& part = *parts[static_cast<size_t>(i)];
    RETURN_IF_ERROR(CheckNumbers(part, i + 1, count));
    tensors += static_cast<int64_t>(part.tensors.size());
  }
  const auto expected = NumberIn(*parts.front(), kTensorsKey);
  if (expected && *expected != tensors) {
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("the parts have {} tensors together; {} says {}", tensors, kTensorsKey,
                             *expected));
  }
  absl::flat_hash_set<std::string_view, std::hash<std::string_view>> names;
  names.reserve(static_cast<size_t>(tensors));
  for (const FileContents* part : parts) {
    for (size_t i = 0; i < part->tensors.size(); ++i) {
      if (names.insert(part->tensors[i].name).second) continue;
      return Error(ErrorCode::kCorruptedModel,
                   fmt::format("two parts have a tensor named '{}'", part->tensors[i].name));
    }
  }
  return OkStatus();
}

Status FindOtherGgufParts(std::string_view name, const FileContents& file, OtherFiles& beside) {
  const uint64_t count = GgufPartCount(file);
  const auto part = ParseGgufPartName(name);
  if (!part) {
    return Error(ErrorCode::kIncompleteModel,
                 fmt::format("it is one of {} parts, and not named as llama.cpp names them, so "
                             "that the others can't be found; rename it",
                             count));
  }
  RETURN_IF_ERROR(CheckNumbers(file, part->number, part->count));
  for (uint32_t number = 1; number <= part->count; ++number) {
    if (number == part->number) continue;
    const std::string other = FormatGgufPartName({part->stem, number, part->count, part->suffix});
    if (!beside.Open(other).ok()) return Missing(other);
  }
  return OkStatus();
}

}  // namespace warmset

#include "base/units.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <map>

#include "fmt/format.h"

namespace warmset {
namespace {

struct Unit {
  std::string_view name;
  double bytes;
};

constexpr std::array kUnits = {
    Unit{"", 1},       Unit{"b", 1},          Unit{"kib", 1024},
    Unit{"kb", 1e3},   Unit{"mib", 1 << 20},  Unit{"mb", 1e6},
    Unit{"gib", 1 << 30}, Unit{"gb", 1e9},    Unit{"tib", 1099511627776.0},
    Unit{"tb", 1e12},  Unit{"k", 1024},       Unit{"m", 1 << 20},
    Unit{"g", 1 << 30}, Unit{"t", 1099511627776.0},
};

Status BadSize(std::string_view text) {
  return Error(ErrorCode::kInvalidConfig,
               fmt::format("'{}' is not a size; write it as 8GiB, 12GB or 50%", text));
}

}  // namespace

StatusOr<ByteCount> ParseSize(std::string_view text, ByteCount whole) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) return BadSize(text);

  std::string unit;
  for (const char* c = end; c != text.data() + text.size(); ++c) {
    if (*c != ' ') unit.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(*c))));
  }
  double bytes = -1;
  if (unit == "%") {
    if (number > 100) return BadSize(text);
    bytes = number / 100 * static_cast<double>(whole.value());
  }
  for (const Unit& candidate : kUnits) {
    if (candidate.name == unit) bytes = number * candidate.bytes;
  }
  if (bytes < 0 || bytes >= 9.2e18) return BadSize(text);
  return ByteCount(static_cast<uint64_t>(bytes));
}

StatusOr<std::chrono::seconds> ParseDuration(std::string_view text) {
  const auto bad = [text] {
    return Error(ErrorCode::kInvalidConfig,
                 fmt::format("'{}' is not a duration; write 90s, 30m, 1h30m or 2d", text));
  };
  constexpr int64_t kMostSeconds = int64_t{100} * 366 * 86400;
  std::string_view rest = text;
  int64_t total = 0;
  bool any = false;
  while (true) {
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    if (rest.empty()) break;
    int64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc() || number < 0 || number > kMostSeconds) return bad();
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    if (rest.empty()) return bad();
    constexpr std::string_view kLetters = "smhd";
    constexpr std::array<int64_t, 4> kSeconds = {1, 60, 3600, 86400};
    const size_t unit = kLetters.find(rest.front());
    if (unit == std::string_view::npos) return bad();
    rest.remove_prefix(1);
    total += number * kSeconds[unit];
    if (total > kMostSeconds) return bad();
    any = true;
  }
  return any ? StatusOr<std::chrono::seconds>(total) : bad();
}

namespace {

std::string SizeWithDigits(ByteCount bytes, int more_digits) {
  if (bytes.value() < 1024) return fmt::format("{} B", bytes.value());
  constexpr std::array kNames = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes.value()) / 1024;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kNames.size()) {
    value /= 1024;
    ++unit;
  }
  const int decimals = (value < 9.995 ? 2 : value < 99.95 ? 1 : 0) + more_digits;
  return fmt::format("{:.{}f} {}", value, decimals, kNames[unit]);
}

}  // namespace

std::string FormatSize(ByteCount bytes) { return SizeWithDigits(bytes, 0); }

std::vector<std::string> FormatSizes(std::initializer_list<ByteCount> sizes) {
  constexpr int kMostDigits = 6;
  std::vector<std::string> texts(sizes.size());
  for (int more_digits = 0; more_digits <= kMostDigits; ++more_digits) {
    std::map<std::string, ByteCount> meanings;
    bool clear = true;
    size_t i = 0;
    for (const ByteCount size : sizes) {
      texts[i] = SizeWithDigits(size, more_digits);
      clear = clear && meanings.try_emplace(texts[i++], size).first->second == size;
    }
    if (clear) return texts;
  }
  size_t i = 0;
  for (const ByteCount size : sizes) texts[i++] = fmt::format("{} B", size.value());
  return texts;
}

std::string FormatDuration(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(seconds);
  const auto two_units = [whole](int64_t large, char large_unit, int64_t small, char small_unit) {
    const int64_t rest = whole % large / small;
    return fmt::format("{}{}{}", whole / large, large_unit,
                       rest == 0 ? "" : fmt::format(" {}{}", rest, small_unit));
  };
  if (whole < 3600) return two_units(60, 'm', 1, 's');
  if (whole < 86400) return two_units(3600, 'h', 60, 'm');
  return two_units(86400, 'd', 3600, 'h');
}

}  // namespace warmset

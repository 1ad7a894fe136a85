#include "daemon/cron_time.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "fmt/format.h"

namespace warmset {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays = {"sun", "mon", "tue", "wed",
                                                       "thu", "fri", "sat"};

struct Field {
  std::string_view what;
  unsigned first = 0;
  unsigned last = 0;
  std::span<const std::string_view> names{};  // of first and the values after it
};

std::optional<unsigned> ParseNumber(std::string_view text) {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

std::optional<unsigned> ParseValue(std::string_view text, const Field& field) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto name = std::find(field.names.begin(), field.names.end(), lower);
  if (name != field.names.end()) {
    return field.first + static_cast<unsigned>(name - field.names.begin());
  }
  const auto value = ParseNumber(text);
  return value && *value >= field.first && *value <= field.last ? value : std::nullopt;
}

std::vector<std::string_view> Split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(by);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// One item of a list: "*", "5", "1-5", each perhaps with "/2".
template <size_t N>
bool AddItem(std::string_view item, const Field& field, std::bitset<N>& bits) {
  unsigned step = 1;
  const size_t slash = item.find('/');
  const bool stepped = slash != std::string_view::npos;
  if (stepped) {
    const auto given = ParseNumber(item.substr(slash + 1));
    if (!given || *given == 0 || *given > field.last) return false;
    step = *given;
    item = item.substr(0, slash);
  }
  unsigned first = field.first;
  unsigned last = field.last;
  if (item != "*") {
    const size_t dash = item.find('-');
    const auto from = ParseValue(item.substr(0, dash), field);
    const auto to = dash == std::string_view::npos
                        ? (stepped ? std::optional(field.last) : from)
                        : ParseValue(item.substr(dash + 1), field);
    if (!from || !to || *from > *to) return false;
    first = *from;
    last = *to;
  }
  for (unsigned value = first; value <= last; value += step) bits.set(value);
  return true;
}

template <size_t N>
Status ParseField(std::string_view text, const Field& field, std::bitset<N>& bits) {
  for (const std::string_view item : Split(text, ',')) {
    if (AddItem(item, field, bits)) continue;
    return Error(ErrorCode::kInvalidConfig,
                 fmt::format("'{}' is no {} from {} to {}", text, field.what, field.first,
                             field.last));
  }
  return OkStatus();
}

}  // namespace

StatusOr<CronTime> CronTime::Parse(std::string_view fields) {
  std::vector<std::string_view> parts = Split(fields, ' ');
  std::erase(parts, std::string_view());
  if (parts.size() != 5) {
    return Error(ErrorCode::kInvalidConfig,
                 fmt::format("'{}' is not five fields: minute, hour, day, month, weekday", fields));
  }
  CronTime time;
  RETURN_IF_ERROR(ParseField(parts[0], {"minute", 0, 59}, time.minutes_));
  RETURN_IF_ERROR(ParseField(parts[1], {"hour", 0, 23}, time.hours_));
  RETURN_IF_ERROR(ParseField(parts[2], {"day of the month", 1, 31}, time.days_));
  RETURN_IF_ERROR(ParseField(parts[3], {"month", 1, 12, kMonths}, time.months_));
  RETURN_IF_ERROR(ParseField(parts[4], {"day of the week", 0, 7, kWeekdays}, time.weekdays_));
  if (time.weekdays_[7]) time.weekdays_.set(0);
  time.any_day_ = parts[2].starts_with('*');
  time.any_weekday_ = parts[4].starts_with('*');
  return time;
}

bool CronTime::Matches(const std::tm& local) const {
  const bool day = days_[static_cast<size_t>(local.tm_mday)];
  const bool weekday = weekdays_[static_cast<size_t>(local.tm_wday)];
  const bool either = !any_day_ && !any_weekday_;
  return minutes_[static_cast<size_t>(local.tm_min)] &&
         hours_[static_cast<size_t>(local.tm_hour)] &&
         months_[static_cast<size_t>(local.tm_mon + 1)] &&
         (either ? day || weekday : day && weekday);
}

}  // namespace warmset

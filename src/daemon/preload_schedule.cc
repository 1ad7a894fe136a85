#include "daemon/preload_schedule.h"

#include <algorithm>
#include <ctime>

#include "fmt/format.h"

namespace warmset {

StatusOr<ScheduledPreload> ScheduledPreload::Parse(std::string_view text) {
  constexpr int kFields = 5;
  size_t at = 0;
  for (int field = 0; field < kFields && at != std::string_view::npos; ++field) {
    at = text.find_first_not_of(' ', at);
    at = text.find(' ', at);
  }
  const size_t name = at == std::string_view::npos ? at : text.find_first_not_of(' ', at);
  if (name == std::string_view::npos) {
    return Error(ErrorCode::kInvalidConfig,
                 fmt::format("'{}' is not five fields and a model, as in "
                             "'30 8 * * mon-fri stabilityai/sdxl'",
                             text));
  }
  ASSIGN_OR_RETURN(const CronTime time, CronTime::Parse(text.substr(0, at)));
  return ScheduledPreload{std::string(text), time, std::string(text.substr(name))};
}

std::vector<std::string> DueModels(const std::vector<ScheduledPreload>& schedule, int64_t after,
                                   int64_t until) {
  constexpr int64_t kLongest = 60;
  std::vector<std::string> due;
  for (int64_t minute = std::max(after + 1, until - kLongest + 1); minute <= until; ++minute) {
    const std::time_t seconds = minute * 60;
    std::tm local{};
    if (::localtime_r(&seconds, &local) == nullptr) continue;
    for (const ScheduledPreload& item : schedule) {
      const bool named = std::find(due.begin(), due.end(), item.model) != due.end();
      if (!named && item.time.Matches(local)) due.push_back(item.model);
    }
  }
  return due;
}

}  // namespace warmset

// Which models are preloaded when.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "daemon/cron_time.h"

namespace warmset {

// "30 8 * * mon-fri stabilityai/sdxl": the fields of CronTime, then a model's name.
struct ScheduledPreload {
  std::string text;  // as it was written
  CronTime time;
  std::string model;

  // kInvalidConfig says what is wrong.
  static StatusOr<ScheduledPreload> Parse(std::string_view text);
};

// The models that are due in the minutes after `after` up to `until`, each once; both
// are minutes of Unix time. Of more than an hour, as when the machine slept, the last.
std::vector<std::string> DueModels(const std::vector<ScheduledPreload>& schedule, int64_t after,
                                   int64_t until);

}  // namespace warmset

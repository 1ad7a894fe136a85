// Times as crontab(5) writes them.
#pragma once

#include <bitset>
#include <ctime>
#include <string_view>

#include "base/status.h"

namespace warmset {

// Five fields: minute, hour, day of the month, month, day of the week. Each is '*', a
// number, a range, a list of them, any of these with a step ("*/15", "8-18/2");
// months and days of the week may be names ("jan", "mon"), Sunday is 0 or 7. If both
// days are restricted, either may match.
class CronTime {
 public:
  // kInvalidConfig names the field.
  static StatusOr<CronTime> Parse(std::string_view fields);

  // Whether the minute that the local time lies in is one of these.
  bool Matches(const std::tm& local) const;

 private:
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;      // from 1
  std::bitset<13> months_;    // from 1
  std::bitset<8> weekdays_;   // from Sunday
  bool any_day_ = true;       // the day of the month is '*'
  bool any_weekday_ = true;
};

}  // namespace warmset

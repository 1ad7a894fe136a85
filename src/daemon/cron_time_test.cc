#include "daemon/cron_time.h"

#include "daemon/preload_schedule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// 2026-11-26 is a Thursday.
std::tm At(int day, int hour, int minute) {
  std::tm time{};
  time.tm_year = 126;
  time.tm_mon = 10;
  time.tm_mday = day;
  time.tm_hour = hour;
  time.tm_min = minute;
  time.tm_isdst = -1;
  std::mktime(&time);
  return time;
}

bool Matches(std::string_view fields, const std::tm& time) {
  const auto cron = CronTime::Parse(fields);
  EXPECT_TRUE(cron.ok()) << cron.status();
  return cron.ok() && cron->Matches(time);
}

TEST(CronTime, NumbersRangesListsAndSteps) {
  EXPECT_TRUE(Matches("* * * * *", At(26, 8, 30)));
  EXPECT_TRUE(Matches("30 8 * * *", At(26, 8, 30)));
  EXPECT_FALSE(Matches("30 8 * * *", At(26, 8, 31)));
  EXPECT_TRUE(Matches("*/15 7-9 * * *", At(26, 9, 45)));
  EXPECT_FALSE(Matches("*/15 7-9 * * *", At(26, 9, 46)));
  EXPECT_TRUE(Matches("5,10-20/5,59 * * * *", At(26, 0, 15)));
  EXPECT_FALSE(Matches("5,10-20/5,59 * * * *", At(26, 0, 16)));
  EXPECT_TRUE(Matches("50/3 * * * *", At(26, 0, 56)));  // from 50 on
}

TEST(CronTime, DaysByNumberAndName) {
  EXPECT_TRUE(Matches("0 0 * nov mon-fri", At(26, 0, 0)));
  EXPECT_FALSE(Matches("0 0 * Dec *", At(26, 0, 0)));
  EXPECT_FALSE(Matches("0 0 * * mon-fri", At(28, 0, 0)));  // a Saturday
  EXPECT_TRUE(Matches("0 0 * * 7", At(29, 0, 0)));
  EXPECT_TRUE(Matches("0 0 * * 0", At(29, 0, 0)));
}

TEST(CronTime, OfTwoRestrictedDaysEitherMatches) {
  EXPECT_TRUE(Matches("0 0 1 * thu", At(26, 0, 0)));
  EXPECT_TRUE(Matches("0 0 1 * thu", At(1, 0, 0)));
  EXPECT_FALSE(Matches("0 0 1 * thu", At(2, 0, 0)));
  EXPECT_FALSE(Matches("0 0 1 * *", At(26, 0, 0)));
}

TEST(CronTime, WhatIsNoTimeIsRefused) {
  for (const char* fields : {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *",
                             "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "*/60 * * * *",
                             "5/4294967295 * * * *", "a * * * *",
                             "1- * * * *", ", * * * *", "1.5 * * * *", "-1 * * * *"}) {
    EXPECT_EQ(CodeOf(CronTime::Parse(fields).status()), ErrorCode::kInvalidConfig) << fields;
  }
  EXPECT_THAT(Message(CronTime::Parse("* 24 * * *").status()), HasSubstr("'24' is no hour"));
}

TEST(ScheduledPreload, ATimeAndAModel) {
  const auto item = ScheduledPreload::Parse("30 8 * *  mon-fri  my models/sdxl");
  ASSERT_TRUE(item.ok()) << item.status();
  EXPECT_EQ(item->model, "my models/sdxl");
  EXPECT_TRUE(item->time.Matches(At(26, 8, 30)));
  for (const char* text :
       {"", "sdxl", "30 8 * * mon-fri", "30 8 * * mon-fri ", "30 8 * * x sdxl"}) {
    EXPECT_EQ(CodeOf(ScheduledPreload::Parse(text).status()), ErrorCode::kInvalidConfig) << text;
  }
}

TEST(DueModels, EachMinuteAfterTheLastLookOnce) {
  const std::vector<ScheduledPreload> schedule = {*ScheduledPreload::Parse("30 8 * * * a"),
                                                  *ScheduledPreload::Parse("31 8 * * * b"),
                                                  *ScheduledPreload::Parse("* 8 * * * a")};
  std::tm time = At(26, 8, 30);
  const int64_t minute = std::mktime(&time) / 60;
  EXPECT_THAT(DueModels(schedule, minute - 1, minute), ElementsAre("a"));
  EXPECT_THAT(DueModels(schedule, minute - 1, minute + 1), ElementsAre("a", "b"));
  EXPECT_THAT(DueModels(schedule, minute + 1, minute + 1), IsEmpty());
  EXPECT_THAT(DueModels(schedule, minute - 100'000, minute - 60), IsEmpty());  // of the last hour
}

}  // namespace
}  // namespace warmset

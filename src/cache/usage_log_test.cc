#include "cache/usage_log.h"

#include "base/strong.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using Source = UsageLog::Source;

TEST(UsageLog, NothingIsKnownBeforeTheFirstAccess) {
  const UsageLog::Summary summary = UsageLog().Summarize();
  EXPECT_EQ(summary.hit_rate, 0);
  EXPECT_EQ(summary.time_saved, 0);
}

TEST(UsageLog, CountsWhatRamSaved) {
  UsageLog log;
  log.AddAccess({.source = Source::kLoaded, .bytes = kMiB, .seconds = 1, .load_seconds = 1});
  log.AddAccess({.source = Source::kRaw, .bytes = kMiB, .seconds = 0, .load_seconds = 1});
  log.AddAccess({.source = Source::kRaw, .bytes = kMiB, .seconds = 0, .load_seconds = 1});
  log.AddAccess({.source = Source::kDecoded, .bytes = kMiB, .seconds = 0.2, .load_seconds = 1});
  const UsageLog::Summary summary = log.Summarize();
  EXPECT_EQ(summary.accesses, (std::array<uint64_t, 3>{2, 1, 1}));
  EXPECT_DOUBLE_EQ(summary.hit_rate, 0.75);
  EXPECT_DOUBLE_EQ(summary.time_saved, 0.7);
  EXPECT_DOUBLE_EQ(summary.p50_seconds, 0.2);
  EXPECT_DOUBLE_EQ(summary.p99_seconds, 1);
  EXPECT_DOUBLE_EQ(summary.deviation_over_sizes, 0);  // all are of one class
}

TEST(UsageLog, ComparesSizes) {
  UsageLog log;
  log.AddAccess({.source = Source::kRaw, .bytes = kMiB, .seconds = 0, .load_seconds = 1});
  log.AddAccess({.source = Source::kLoaded, .bytes = kGiB, .seconds = 1, .load_seconds = 1});
  EXPECT_DOUBLE_EQ(log.Summarize().deviation_over_sizes, 0.5);
}

TEST(UsageLog, AnAccessThatTookLongerThanLoadingSavedNothing) {
  UsageLog log;
  log.AddAccess({.source = Source::kDecoded, .bytes = kMiB, .seconds = 3, .load_seconds = 1});
  EXPECT_EQ(log.Summarize().time_saved, 0);
}

TEST(UsageLog, RemembersTheLatest) {
  UsageLog log;
  log.AddAccess({.source = Source::kLoaded, .bytes = 1, .seconds = 1, .load_seconds = 1});
  for (size_t i = 0; i < UsageLog::kKept; ++i) log.AddAccess({.bytes = 1, .load_seconds = 1});
  EXPECT_EQ(log.Summarize().hit_rate, 1);
  EXPECT_EQ(log.Summarize().accesses[2], 1U);
  for (size_t i = 0; i <= UsageLog::kKeptEvictions; ++i) {
    log.AddEviction({.label = std::to_string(i), .reason = "room"});
  }
  EXPECT_EQ(log.evictions().size(), UsageLog::kKeptEvictions);
  EXPECT_EQ(log.evictions().back().label, std::to_string(UsageLog::kKeptEvictions));
}

}  // namespace
}  // namespace warmset

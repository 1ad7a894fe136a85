#include "cache/preload/preload_log.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

const auto kA = DigestOf<ComponentId>(AsBytes("a"));
const auto kB = DigestOf<ComponentId>(AsBytes("b"));

TEST(PreloadLog, AUseBeforeItLeftIsAHit) {
  PreloadLog log;
  log.Issued(kA, PreloadReason::kHint);
  log.Ended(kA, true);
  log.Used(kA, true);
  log.Left(kA);
  EXPECT_EQ(log.of(PreloadReason::kHint).used, 1u);
  EXPECT_EQ(log.of(PreloadReason::kHint).unused, 0u);
  EXPECT_EQ(log.Summarize().success, 1);
  EXPECT_EQ(log.Summarize().hits, 1);
  EXPECT_EQ(log.Summarize().coverage, 1);
}

TEST(PreloadLog, ADemandThatJoinsIsAHitOnce) {
  PreloadLog log;
  log.Issued(kA, PreloadReason::kCompanion);
  log.Used(kA, true);
  log.Used(kA, true);
  log.Ended(kA, true);
  EXPECT_EQ(log.of(PreloadReason::kCompanion).used, 1u);
  EXPECT_EQ(log.of(PreloadReason::kCompanion).loaded, 1u);
}

TEST(PreloadLog, AJoinedPreloadThatFailsIsNoHit) {
  PreloadLog log;
  log.Issued(kA, PreloadReason::kHint);
  log.Used(kA, true);
  log.Ended(kA, false);
  log.Issued(kB, PreloadReason::kHint);
  log.Used(kB, true);
  log.Withdrawn(kB);
  EXPECT_EQ(log.of(PreloadReason::kHint).used, 0u);
  EXPECT_EQ(log.of(PreloadReason::kHint).issued, 1u);
}

TEST(PreloadLog, AnOlderFormThatLeavesMeanwhileIsNotThePreload) {
  PreloadLog log;
  log.Issued(kA, PreloadReason::kHint);
  log.Left(kA);
  log.Ended(kA, true);
  EXPECT_TRUE(log.IsUnused(kA));
  log.Used(kA, true);
  EXPECT_EQ(log.of(PreloadReason::kHint).used, 1u);
  EXPECT_EQ(log.of(PreloadReason::kHint).unused, 0u);
}

TEST(PreloadLog, WhatLeavesUnusedIsNoHitAndFailuresAreNoSuccess) {
  PreloadLog log;
  log.Issued(kA, PreloadReason::kPopular);
  log.Ended(kA, true);
  log.Left(kA);
  log.Issued(kB, PreloadReason::kPopular);
  log.Ended(kB, false);
  log.Left(kB);
  EXPECT_EQ(log.of(PreloadReason::kPopular).unused, 1u);
  EXPECT_EQ(log.Summarize().success, 0.5);
  EXPECT_EQ(log.Summarize().hits, 0);
}

TEST(PreloadLog, CoverageCountsUsesThatWaitedForALoad) {
  PreloadLog log;
  log.Issued(kA, PreloadReason::kRestart);
  log.Ended(kA, true);
  log.Used(kA, true);
  for (int i = 0; i < 3; ++i) log.Used(kB, false);
  log.Used(kB, true);  // in RAM for an earlier use: neither
  EXPECT_EQ(log.Summarize().coverage, 0.25);
}

TEST(PreloadLog, WhatIsWithdrawnWasNeverIssued) {
  PreloadLog log;
  log.Issued(kA, PreloadReason::kCompanion);
  log.Withdrawn(kA);
  log.Used(kA, false);
  EXPECT_EQ(log.of(PreloadReason::kCompanion).issued, 0u);
  EXPECT_EQ(log.of(PreloadReason::kCompanion).used, 0u);
}

}  // namespace
}  // namespace warmset

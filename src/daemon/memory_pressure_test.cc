#include "daemon/memory_pressure.h"

#include <limits>

#include "gtest/gtest.h"

namespace warmset {
namespace {

uint64_t Limit(uint64_t configured, uint64_t used, uint64_t available, uint64_t keep_free) {
  return LimitUnderPressure(ByteCount(configured), ByteCount(used), ByteCount(available),
                            ByteCount(keep_free))
      .value();
}

TEST(LimitUnderPressure, IsTheConfiguredOneWhereThereIsEnough) {
  EXPECT_EQ(Limit(100, 0, 1000, 500), 100U);
  EXPECT_EQ(Limit(100, 80, 520, 500), 100U);
  EXPECT_EQ(Limit(100, 80, std::numeric_limits<uint64_t>::max(), 500), 100U);
}

TEST(LimitUnderPressure, NothingMoreIsTakenThanLeavesEnoughForOthers) {
  EXPECT_EQ(Limit(100, 80, 510, 500), 90U);
  EXPECT_EQ(Limit(100, 80, 500, 500), 80U);
}

TEST(LimitUnderPressure, WhatIsMissingIsGivenBack) {
  EXPECT_EQ(Limit(100, 80, 470, 500), 50U);
  EXPECT_EQ(Limit(100, 80, 100, 500), 0U);
  EXPECT_EQ(Limit(100, 180, 490, 500), 100U);  // above the limit already
}

}  // namespace
}  // namespace warmset

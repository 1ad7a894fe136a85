#include "cache/budget.h"

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using ::testing::HasSubstr;

constexpr ByteCount kHundred{100 * kMiB};

ByteCount MiB(uint64_t count) { return ByteCount(count * kMiB); }

TEST(BudgetTest, GrantsUpToTheLimitAndSaysWhatIsMissing) {
  Budget budget(kHundred);
  auto first = budget.Reserve(MemoryKind::kEntries, MiB(60));
  ASSERT_TRUE(first.ok());
  const auto second = budget.Reserve(MemoryKind::kLoading, MiB(41));
  EXPECT_EQ(CodeOf(second.status()), ErrorCode::kRamLimitExceeded);
  EXPECT_THAT(std::string(Message(second.status())),
              HasSubstr("41.0 MiB of RAM are needed, 40.0 MiB of the limit of 100 MiB are free"));
  EXPECT_TRUE(budget.Reserve(MemoryKind::kLoading, MiB(40)).ok());
}

TEST(BudgetTest, CountsByKindAndGivesBackOnDestruction) {
  Budget budget(kHundred);
  {
    auto loading = budget.Reserve(MemoryKind::kLoading, MiB(10));
    auto reserve = budget.Reserve(MemoryKind::kReserve, MiB(20));
    ASSERT_TRUE(loading.ok() && reserve.ok());
    EXPECT_EQ(budget.Use().loading, MiB(10));
    EXPECT_EQ(budget.Use().reserve, MiB(20));
    loading->SetKind(MemoryKind::kEntries);
    EXPECT_EQ(budget.Use().loading, MiB(0));
    EXPECT_EQ(budget.Use().entries, MiB(10));
    loading->SetKind(MemoryKind::kDropped);
    EXPECT_EQ(budget.Use().dropped, MiB(10));
    EXPECT_EQ(budget.Use().total(), MiB(30));
    Reservation moved = *std::move(loading);
    Reservation assigned;
    assigned = std::move(moved);
    EXPECT_EQ(assigned.bytes(), MiB(10));
  }
  EXPECT_EQ(budget.Use().total(), MiB(0));
}

TEST(BudgetTest, ReservationsGrowAndShrink) {
  Budget budget(kHundred);
  auto reservation = budget.Reserve(MemoryKind::kLoading, MiB(10));
  ASSERT_TRUE(reservation.ok());
  EXPECT_TRUE(reservation->GrowTo(MiB(100)).ok());
  EXPECT_EQ(CodeOf(reservation->GrowTo(MiB(101))), ErrorCode::kRamLimitExceeded);
  EXPECT_EQ(reservation->bytes(), MiB(100));
  reservation->ShrinkTo(MiB(30));
  EXPECT_EQ(budget.Use().free(), MiB(70));
  EXPECT_TRUE(reservation->GrowTo(MiB(5)).ok());
  EXPECT_EQ(reservation->bytes(), MiB(30));
}

TEST(BudgetTest, NothingIsGrantedAboveALoweredLimitOrBesideOrphans) {
  Budget budget(kHundred);
  auto kept = budget.Reserve(MemoryKind::kEntries, MiB(50));
  ASSERT_TRUE(kept.ok());
  budget.SetOrphaned(MiB(30));
  EXPECT_FALSE(budget.Reserve(MemoryKind::kLoading, MiB(21)).ok());
  budget.SetLimit(MiB(40));
  EXPECT_EQ(budget.Use().free(), MiB(0));
  EXPECT_FALSE(budget.Reserve(MemoryKind::kLoading, MiB(1)).ok());
  budget.SetOrphaned(MiB(0));
  kept->Release();
  EXPECT_TRUE(budget.Reserve(MemoryKind::kLoading, MiB(40)).ok());
}

TEST(BudgetTest, AsksTheReserveBeforeItFails) {
  Budget budget(kHundred);
  auto held = budget.Reserve(MemoryKind::kReserve, MiB(70));
  ASSERT_TRUE(held.ok());
  ByteCount asked;
  budget.SetReserveHooks({.give_back =
                              [&](ByteCount missing) {
                                asked = missing;
                                held->ShrinkTo(held->bytes() - missing);
                                // What is given back is not for the reserve itself.
                                EXPECT_FALSE(budget.Reserve(MemoryKind::kReserve, MiB(1)).ok());
                              },
                          .changed = [] {}});
  EXPECT_TRUE(budget.Reserve(MemoryKind::kLoading, MiB(50)).ok());
  EXPECT_EQ(asked, MiB(20));
  budget.SetReserveHooks({});
}

TEST(BudgetTest, IsNeverExceededByManyThreads) {
  Budget budget(kHundred);
  std::atomic<int> granted = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 500; ++round) {
          auto reservation = budget.Reserve(MemoryKind::kLoading, MiB(30));
          EXPECT_LE(budget.Use().total(), kHundred);
          if (!reservation.ok()) continue;
          ++granted;
          EXPECT_TRUE(budget.Use().loading >= MiB(30));
          reservation->SetKind(MemoryKind::kEntries);
          reservation->ShrinkTo(MiB(10));
          static_cast<void>(reservation->GrowTo(MiB(20)));
        }
      });
    }
  }
  EXPECT_GE(granted, 500);
  EXPECT_EQ(budget.Use().total(), MiB(0));
}

}  // namespace
}  // namespace warmset

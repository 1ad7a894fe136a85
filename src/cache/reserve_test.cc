#include "cache/reserve.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "os/fault.h"

namespace warmset {
namespace {

ByteCount MiB(uint64_t count) { return ByteCount(count * kMiB); }

TEST(MemoryReserveTest, DefaultIsAnEighthOfTheLimitUpToTwoGiB) {
  EXPECT_EQ(MemoryReserve::DefaultTarget(ByteCount(8 * kGiB)), ByteCount(kGiB));
  EXPECT_EQ(MemoryReserve::DefaultTarget(ByteCount(64 * kGiB)), ByteCount(2 * kGiB));
}

TEST(MemoryReserveTest, KeepsTouchedPiecesThatCountInTheBudget) {
  Budget budget(MiB(1000));
  MemoryReserve reserve(budget, MiB(128));  // 64 + 32 + 32
  reserve.WaitUntilSettled();
  EXPECT_EQ(budget.Use().reserve, MiB(128));

  const auto piece = reserve.Take(MiB(40));
  ASSERT_TRUE(piece.has_value());
  EXPECT_EQ(piece->file.size(), 64 * kMiB);
  EXPECT_FALSE(piece->file.sealed());
  EXPECT_EQ(budget.Use().loading, MiB(64));
  struct stat st{};
  ASSERT_EQ(::fstat(piece->file.fd(), &st), 0);
  EXPECT_GE(static_cast<uint64_t>(st.st_blocks) * 512, 64 * kMiB);
}

// Of this process, of memory files.
uint64_t ResidentSharedBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssShmem:")) return std::stoull(line.substr(9)) * kKiB;
  }
  ADD_FAILURE() << "no RssShmem";
  return 0;
}

TEST(MemoryReserveTest, NoMoreIsCountedThanIsTouched) {
  constexpr uint64_t kStep = 8 * kMiB;
  Budget budget(MiB(1000));
  MemoryReserve reserve(budget, MiB(512));
  for (uint64_t counted = 0; counted < 512 * kMiB;) {
    counted = budget.Use().reserve.value();
    ASSERT_LE(counted, ResidentSharedBytes() + kStep);
  }
}

TEST(MemoryReserveTest, ALargerLoadGetsTheLargestPieceAndATinyOneNone) {
  Budget budget(MiB(1000));
  MemoryReserve reserve(budget, MiB(128));
  reserve.WaitUntilSettled();
  EXPECT_FALSE(reserve.Take(MiB(4)).has_value());
  const auto piece = reserve.Take(MiB(500));
  ASSERT_TRUE(piece.has_value());
  EXPECT_EQ(piece->file.size(), 64 * kMiB);
}

TEST(MemoryReserveTest, FillsUpAgainWhenNothingLoads) {
  Budget budget(MiB(1000));
  MemoryReserve reserve(budget, MiB(64));
  reserve.WaitUntilSettled();
  {
    const auto piece = reserve.Take(MiB(32));
    ASSERT_TRUE(piece.has_value());
    EXPECT_EQ(budget.Use().reserve, MiB(32));
  }
  reserve.WaitUntilSettled();
  EXPECT_EQ(budget.Use().reserve, MiB(64));
}

TEST(MemoryReserveTest, GivesBackWhatTheBudgetWants) {
  Budget budget(MiB(200));
  MemoryReserve reserve(budget, MiB(128));
  reserve.WaitUntilSettled();
  const auto wanted = budget.Reserve(MemoryKind::kLoading, MiB(190));
  ASSERT_TRUE(wanted.ok()) << wanted.status();
  EXPECT_EQ(budget.Use().reserve, MiB(0));
  EXPECT_FALSE(reserve.Take(MiB(40)).has_value());
}

TEST(MemoryReserveTest, APieceThatIsBeingTouchedIsGivenBackToo) {
  Budget budget(MiB(200));
  MemoryReserve reserve(budget, MiB(128));
  // Whatever its thread has done by now.
  const auto wanted = budget.Reserve(MemoryKind::kLoading, MiB(200));
  EXPECT_TRUE(wanted.ok()) << wanted.status();
}

TEST(MemoryReserveTest, KeepsWhatTheLimitLeaves) {
  Budget budget(MiB(100));
  MemoryReserve reserve(budget, MiB(256));  // 128 + 64 + 32 + 32
  reserve.WaitUntilSettled();
  EXPECT_EQ(budget.Use().reserve, MiB(96));
  budget.SetLimit(MiB(50));
  reserve.WaitUntilSettled();
  EXPECT_LE(budget.Use().total(), MiB(50));
}

TEST(MemoryReserveTest, KeepsAPieceForTheLargestLoadThatIsUsual) {
  Budget budget(MiB(1000));
  MemoryReserve reserve(budget, MiB(64));
  reserve.NoteLoad(MiB(199) + ByteCount(1));
  reserve.NoteLoad(MiB(20));
  reserve.WaitUntilSettled();
  EXPECT_EQ(budget.Use().reserve, MiB(64 + 200));
  {
    const auto piece = reserve.Take(MiB(199));
    ASSERT_TRUE(piece.has_value());
    EXPECT_EQ(piece->file.size(), 200 * kMiB);
  }
  for (size_t i = 0; i < MemoryReserve::kUsualLoads; ++i) reserve.NoteLoad(MiB(20));
  reserve.WaitUntilSettled();
  EXPECT_EQ(budget.Use().reserve, MiB(64));  // it was usual
}

TEST(MemoryReserveTest, GrowsOnlyWhileTwiceAsMuchIsFree) {
  Budget budget(MiB(500));
  MemoryReserve reserve(budget, MiB(64));
  auto entries = budget.Reserve(MemoryKind::kEntries, MiB(100));
  ASSERT_TRUE(entries.ok());
  reserve.NoteLoad(MiB(200));
  reserve.WaitUntilSettled();
  EXPECT_EQ(budget.Use().reserve, MiB(64));
  entries->Release();
  reserve.WaitUntilSettled();
  EXPECT_EQ(budget.Use().reserve, MiB(264));
}

TEST(MemoryReserveTest, ATargetOfZeroKeepsNothing) {
  Budget budget(MiB(100));
  MemoryReserve reserve(budget, ByteCount(0));
  reserve.WaitUntilSettled();
  reserve.NoteLoad(MiB(40));
  EXPECT_EQ(budget.Use().total(), ByteCount(0));
  EXPECT_FALSE(reserve.Take(MiB(40)).has_value());
}

TEST(MemoryReserveTest, WithoutDescriptorsItWaitsForAChange) {
  Budget budget(MiB(100));
  os::ArmFault({.call = "memfd_create", .nth = 1, .error_number = EMFILE, .keep_failing = true});
  MemoryReserve reserve(budget, MiB(64));
  reserve.WaitUntilSettled();
  EXPECT_EQ(os::DisarmFault(), 1);  // it did not try again and again
  EXPECT_EQ(budget.Use().total(), MiB(0));
  {
    const auto load = budget.Reserve(MemoryKind::kLoading, MiB(1));
  }
  reserve.WaitUntilSettled();
  EXPECT_EQ(budget.Use().reserve, MiB(64));
}

// The next piece may be begun before the thread that waited for the last one runs again, and
// then it waits for the load to end that the thread itself would end.
TEST(MemoryReserveTest, AClaimDoesNotWaitForTheNextPiece) {
  Budget budget(MiB(128));
  MemoryReserve reserve(budget, MiB(64));
  const auto loading = budget.Reserve(MemoryKind::kLoading, MiB(1));
  ASSERT_TRUE(loading.ok());
  std::jthread others([&budget](const std::stop_token& stop) {
    // Each return is a reason to try for the next piece.
    while (!stop.stop_requested()) (void)budget.Reserve(MemoryKind::kEntries, ByteCount(1));
  });
  for (int i = 0; i < 5'000; ++i) {
    EXPECT_FALSE(budget.Reserve(MemoryKind::kLoading, MiB(128)).ok()) << "there is no room";
  }
}

TEST(MemoryReserveTest, LoadsAndClaimsOnManyThreads) {
  Budget budget(MiB(300));
  MemoryReserve reserve(budget, MiB(128));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        const auto piece = reserve.Take(MiB(40));
        const auto claim = budget.Reserve(MemoryKind::kLoading, MiB(60));
        EXPECT_LE(budget.Use().total(), MiB(300));
      }
    });
  }
}

}  // namespace
}  // namespace warmset

#include "cache/form_ghost.h"

#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using Form = FormGhost::Form;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr uint64_t kCapacity = 10'000;
constexpr FormCosts kCosts{.raw_bytes = 1'000,
                           .compressed_bytes = 667,
                           .load_seconds = 1,
                           .decode_seconds = 0.05,
                           .encode_seconds = 0.1};

ComponentId Id(int number) { return DigestOf<ComponentId>(AsBytes(std::to_string(number))); }

// Requests for components 0, 1, 2, ..., each half as often as the one before.
void RequestHalving(FormGhost& ghost, int requests, const FormCosts& costs) {
  std::mt19937 random(1);
  std::geometric_distribution<int> choose(0.5);
  for (int i = 0; i < requests; ++i) ghost.Request(Id(choose(random)), costs);
}

TEST(FormGhost, KeepsTheUsualRawTheSeldomCompressedAndDropsTheRest) {
  FormGhost ghost(3'700);
  RequestHalving(ghost, 4'000, kCosts);
  EXPECT_EQ(ghost.FormOf(Id(0)), Form::kRaw);
  EXPECT_EQ(ghost.FormOf(Id(3)), Form::kCompressed);
  EXPECT_EQ(ghost.FormOf(Id(9)), Form::kAbsent);
}

TEST(FormGhost, WhatDecodesSlowlyStaysRaw) {
  FormCosts costs = kCosts;
  costs.decode_seconds = 0.5;  // saves half of a load in two thirds of the memory
  FormGhost ghost(3'700);
  RequestHalving(ghost, 4'000, costs);
  for (int i = 0; i < 12; ++i) EXPECT_NE(ghost.FormOf(Id(i)), Form::kCompressed);
  EXPECT_EQ(ghost.FormOf(Id(0)), Form::kRaw);
}

TEST(FormGhost, EachComponentGoesByItsOwnCosts) {
  FormCosts slow = kCosts;
  slow.decode_seconds = 0.9;
  FormGhost ghost(kCapacity);
  for (int i = 0; i < 2'000; ++i) ghost.Request(Id(i % 14), i % 14 < 7 ? kCosts : slow);
  for (int i = 7; i < 14; ++i) EXPECT_NE(ghost.FormOf(Id(i)), Form::kCompressed);
  int compressed = 0;
  for (int i = 0; i < 7; ++i) compressed += ghost.FormOf(Id(i)) == Form::kCompressed ? 1 : 0;
  EXPECT_GE(compressed, 5);
}

TEST(FormGhost, EncodingWhatIsNotUsedAgainIsGivenUp) {
  FormGhost ghost(kCapacity);
  double saved = 0;
  for (int i = 0; i < 5'000; ++i) saved += ghost.Request(Id(i % 500), kCosts);
  EXPECT_GT(saved, -0.05 * 5'000 * kCosts.encode_seconds);
}

TEST(FormGhost, SavesTheLoadOrWhatDecodingLeavesOfIt) {
  FormGhost ghost(1'800);
  EXPECT_EQ(ghost.Request(Id(0), kCosts), 0);
  EXPECT_EQ(ghost.Request(Id(0), kCosts), kCosts.load_seconds);
  // Room is made by compressing the one that is asked for less.
  EXPECT_EQ(ghost.Request(Id(1), kCosts), -kCosts.encode_seconds);
  const int compressed = ghost.FormOf(Id(0)) == Form::kCompressed ? 0 : 1;
  EXPECT_EQ(ghost.FormOf(Id(1 - compressed)), Form::kRaw);
  const double saved = ghost.Request(Id(compressed), kCosts);
  EXPECT_NEAR(saved, kCosts.load_seconds - kCosts.decode_seconds, kCosts.encode_seconds + 1e-9);
}

// Encoding and decoding need both.
TEST(FormGhost, WhatHasNoRoomForBothFormsIsNeverCompressed) {
  FormGhost ghost(1'600);
  for (int i = 0; i < 10; ++i) {
    ghost.Request(Id(i % 2), kCosts);
    EXPECT_EQ(ghost.FormOf(Id(i % 2)), Form::kRaw);
    EXPECT_NE(ghost.FormOf(Id((i + 1) % 2)), Form::kCompressed);
  }
}

TEST(FormGhost, WhatDoesNotFitAtAllIsDroppedAlone) {
  FormGhost ghost(1'700);
  ghost.Request(Id(0), kCosts);
  FormCosts large = kCosts;
  large.raw_bytes = 3'000;
  ghost.Request(Id(1), large);
  EXPECT_EQ(ghost.FormOf(Id(1)), Form::kAbsent);
  EXPECT_TRUE(ghost.HasDropped(Id(1)));
  EXPECT_EQ(ghost.FormOf(Id(0)), Form::kRaw);
  EXPECT_FALSE(ghost.HasDropped(Id(0)));
  EXPECT_FALSE(ghost.HasDropped(Id(2)));  // nobody asked for it
}

TEST(FormGhost, WhatIsDecodedElsewhereStaysCompressed) {
  FormGhost ghost(1'800);
  for (int i = 0; i < 10; ++i) ghost.Request(Id(i % 2), kCosts);
  const int compressed = ghost.FormOf(Id(0)) == Form::kCompressed ? 0 : 1;
  ASSERT_EQ(ghost.FormOf(Id(compressed)), Form::kCompressed);
  EXPECT_EQ(ghost.Request(Id(compressed), kCosts, /*as_raw=*/false),
            kCosts.load_seconds - kCosts.decode_seconds);
  EXPECT_EQ(ghost.FormOf(Id(compressed)), Form::kCompressed);
  EXPECT_THAT(ghost.changed(), IsEmpty());
}

TEST(FormGhost, TellsWhoseFormChanged) {
  FormGhost ghost(1'800);
  ghost.Request(Id(0), kCosts);
  EXPECT_THAT(ghost.changed(), UnorderedElementsAre(Id(0)));
  ghost.Request(Id(0), kCosts);
  EXPECT_THAT(ghost.changed(), IsEmpty());
  ghost.Request(Id(1), kCosts);
  EXPECT_THAT(ghost.changed(), Contains(Id(1)));
}

TEST(FormGhost, HistoryOfAnEarlierLifeCounts) {
  UseHistory often;
  for (uint64_t i = 1; i <= 200; ++i) often.Count(i);
  FormGhost ghost(2'000);
  ghost.Recall(Id(0), often);
  ghost.Request(Id(0), kCosts);
  for (int i = 1; i < 20; ++i) ghost.Request(Id(i), kCosts);
  EXPECT_NE(ghost.FormOf(Id(0)), Form::kAbsent);
}

}  // namespace
}  // namespace warmset

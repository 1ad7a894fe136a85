#include "cache/use_ledger.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

CachedObject Object(size_t number) {
  return {.id = DigestOf<ComponentId>(AsBytes(std::to_string(number))),
          .bytes = 1,
          .load_seconds = 1};
}

TEST(UseLedger, TellsOnceWhatChanged) {
  UseLedger ledger;
  ledger.Count(Object(1));
  ledger.Count(Object(1));
  const auto changes = ledger.TakeChanges();
  ASSERT_EQ(changes.lines.size(), 1u);
  EXPECT_EQ(changes.lines[0].history.requests, 2u);
  EXPECT_EQ(changes.lines[0].history.last_request, 2u);
  EXPECT_THAT(ledger.TakeChanges().lines, IsEmpty());
}

TEST(UseLedger, RequestsGoOnFromARecalledLine) {
  UseLedger ledger;
  ledger.Recall({.object = Object(1), .history = {.requests = 3, .last_request = 40}});
  ledger.Count(Object(2));
  EXPECT_EQ(ledger.now(), 41u);
  EXPECT_THAT(ledger.TakeChanges().lines, testing::SizeIs(1));  // not what was recalled
}

TEST(UseLedger, UnwantedLastsUntilTheNextUse) {
  UseLedger ledger;
  ledger.SetUnwanted(Object(1).id);
  EXPECT_FALSE(ledger.IsUnwanted(Object(1).id));  // never used
  ledger.Count(Object(1));
  (void)ledger.TakeChanges();
  ledger.SetUnwanted(Object(1).id);
  EXPECT_TRUE(ledger.IsUnwanted(Object(1).id));
  EXPECT_TRUE(ledger.TakeChanges().lines.at(0).unwanted);
  ledger.Count(Object(1));
  EXPECT_FALSE(ledger.IsUnwanted(Object(1).id));
}

TEST(UseLedger, ForgetsTheOldestAndSaysSo) {
  UseLedger ledger;
  for (size_t i = 0; i <= UseLedger::kMaxLines; ++i) ledger.Count(Object(i));
  EXPECT_FALSE(ledger.lines().contains(Object(0).id));
  EXPECT_TRUE(ledger.lines().contains(Object(UseLedger::kMaxLines).id));
  const auto changes = ledger.TakeChanges();
  EXPECT_EQ(changes.lines.size(), ledger.lines().size());
  EXPECT_EQ(changes.lines.size() + changes.forgotten.size(), UseLedger::kMaxLines + 1);
}

}  // namespace
}  // namespace warmset

#include "os/mounts.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset::os {
namespace {

using testing::Contains;
using testing::EndsWith;
using testing::IsEmpty;

TEST(MountsTest, SaysWhatIsMountedBelowAPath) {
  const auto all = MountsBelow("/");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, Contains(EndsWith(" /proc")));
  const auto proc = MountsBelow("/proc");
  ASSERT_TRUE(proc.ok());
  EXPECT_THAT(*proc, Contains(EndsWith(" /proc")));
  EXPECT_THAT(*MountsBelow("/pro"), IsEmpty());  // a part of a name is no folder
}

}  // namespace
}  // namespace warmset::os

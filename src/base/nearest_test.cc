#include "base/nearest.h"

#include <array>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::array<std::string_view, 6> kWords = {"cache", "uncache", "list",
                                                    "load",  "ps",      "unload"};

TEST(NearTo, FindsSlipsAndParts) {
  EXPECT_THAT(NearTo("cahce", kWords), ElementsAre("cache"));
  EXPECT_THAT(NearTo("LOAD", kWords), ElementsAre("load", "unload"));
  EXPECT_THAT(NearTo("lst", kWords), ElementsAre("list"));
}

TEST(NearTo, LeavesOutWhatIsFar) {
  EXPECT_THAT(NearTo("frobnicate", kWords), IsEmpty());
  EXPECT_THAT(NearTo("", kWords), IsEmpty());
}

TEST(NearText, NamesThem) {
  EXPECT_EQ(NearText("lst", kWords), "; the nearest is 'list'");
  EXPECT_EQ(NearText("load", kWords), "; the nearest are 'load', 'unload'");
  EXPECT_EQ(NearText("frobnicate", kWords), "");
}

}  // namespace
}  // namespace warmset

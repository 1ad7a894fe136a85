#include "base/edit_distance.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(EditDistanceTest, CountsEachKindOfSlipOnce) {
  EXPECT_EQ(EditDistance("flux", "flux"), 0u);
  EXPECT_EQ(EditDistance("flux", "fluxx"), 1u);
  EXPECT_EQ(EditDistance("flux", "lux"), 1u);
  EXPECT_EQ(EditDistance("flux", "flax"), 1u);
  EXPECT_EQ(EditDistance("flux", "flxu"), 1u);
  EXPECT_EQ(EditDistance("flux", ""), 4u);
  EXPECT_EQ(EditDistance("", "flux"), 4u);
}

TEST(EditDistanceTest, TheEndOfALongerNameCostsNothing) {
  EXPECT_EQ(EditDistanceToStart("sd-xl-bsae", "sd-xl-base-1.0"), 1u);
  EXPECT_EQ(EditDistanceToStart("flxu", "flux1-dev-fp8"), 1u);
  EXPECT_EQ(EditDistanceToStart("", "flux"), 0u);
  EXPECT_EQ(EditDistanceToStart("abc", "xyz"), 3u);
}

}  // namespace
}  // namespace warmset

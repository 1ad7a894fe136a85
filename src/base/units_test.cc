#include "base/units.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

uint64_t Size(std::string_view text) {
  const auto size = ParseSize(text, ByteCount(1000));
  return size.ok() ? size->value() : ~uint64_t{0};
}

TEST(UnitsTest, ParsesWhatTheReadmePromises) {
  EXPECT_EQ(Size("8GiB"), 8 * kGiB);
  EXPECT_EQ(Size("12GB"), 12'000'000'000u);
  EXPECT_EQ(Size("50%"), 500u);
  EXPECT_EQ(Size("1.5 gib"), kGiB + kGiB / 2);
  EXPECT_EQ(Size("4096"), 4096u);
}

TEST(UnitsTest, RejectsNonsenseWithAnExample) {
  for (const char* text : {"", "GiB", "-1GiB", "101%", "8 parsecs", "1e40", "nan"}) {
    const auto size = ParseSize(text, ByteCount(1000));
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_EQ(CodeOf(size.status()), ErrorCode::kInvalidConfig);
    EXPECT_NE(Message(size.status()).find("8GiB"), std::string_view::npos);
  }
}

TEST(UnitsTest, FormatsWithThreeDigits) {
  EXPECT_EQ(FormatSize(ByteCount(0)), "0 B");
  EXPECT_EQ(FormatSize(ByteCount(1536 * kMiB)), "1.50 GiB");
  EXPECT_EQ(FormatSize(ByteCount(1023 * kKiB)), "1.00 MiB");
}

TEST(UnitsTest, DifferentSizesReadDifferently) {
  using ::testing::ElementsAre;
  EXPECT_THAT(FormatSizes({ByteCount(kGiB), ByteCount(2 * kGiB)}),
              ElementsAre("1.00 GiB", "2.00 GiB"));
  EXPECT_THAT(FormatSizes({ByteCount(kGiB), ByteCount(kGiB + kMiB), ByteCount(kGiB)}),
              ElementsAre("1.000 GiB", "1.001 GiB", "1.000 GiB"));
  EXPECT_THAT(FormatSizes({ByteCount(kGiB), ByteCount(kGiB + 1)}),
              ElementsAre("1073741824 B", "1073741825 B"));
}

TEST(UnitsTest, FormatsDurations) {
  EXPECT_EQ(FormatDuration(milliseconds(420)), "420 ms");
  EXPECT_EQ(FormatDuration(seconds(312)), "5m 12s");
  EXPECT_EQ(FormatDuration(seconds(1800)), "30m");
  EXPECT_EQ(FormatDuration(seconds(90000)), "1d 1h");
}

TEST(ParseDuration, ReadsNumbersWithUnits) {
  using std::chrono::seconds;
  EXPECT_EQ(*ParseDuration("90s"), seconds(90));
  EXPECT_EQ(*ParseDuration("30m"), seconds(1800));
  EXPECT_EQ(*ParseDuration("1h 30m"), seconds(5400));
  EXPECT_EQ(*ParseDuration("2d"), seconds(172800));
  EXPECT_EQ(*ParseDuration("0s"), seconds(0));
  for (const std::string_view bad : {"", " ", "5", "m", "-5m", "5y", "5m3", "99999999999999d"}) {
    EXPECT_EQ(CodeOf(ParseDuration(bad).status()), ErrorCode::kInvalidConfig) << bad;
  }
}

}  // namespace
}  // namespace warmset

#include "cache/codec_speed.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

// What it says depends on the machine; that it says something that can be reckoned with
// does not.
TEST(CodecSpeed, IsMeasured) {
  const auto speed = MeasureCodecSpeed();
  ASSERT_TRUE(speed.ok()) << speed.status();
  EXPECT_GT(speed->encode_bytes_per_second, 0);
  EXPECT_GT(speed->decode_bytes_per_second, 0);
}

}  // namespace
}  // namespace warmset

#include "base/utf8.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

TEST(Utf8Test, WhatIsNoneIsReplacedByteByByte) {
  EXPECT_EQ(ToUtf8("aü€😀"), "aü€😀");
  EXPECT_EQ(ToUtf8("a\xFF"
                   "b"),
            "a\uFFFDb");
  EXPECT_EQ(ToUtf8("\xC0\x80"), "\uFFFD\uFFFD");            // not the shortest form
  EXPECT_EQ(ToUtf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(ToUtf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(ToUtf8("\xE2\x82"), "\uFFFD\uFFFD");
}

TEST(Utf8Test, IsToldFromOtherBytes) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("aü€😀"));
  for (const char* other :
       {"\xFF", "\x80", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
    EXPECT_FALSE(IsUtf8(other));
  }
}

}  // namespace
}  // namespace warmset

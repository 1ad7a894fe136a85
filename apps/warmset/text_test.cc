#include "text.h"

#include "gtest/gtest.h"

namespace warmset::cli {
namespace {

TEST(Printable, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("sdxl/base-1.0"), "sdxl/base-1.0");
  EXPECT_EQ(Printable("a\nb\tc"), "a\\nb\\tc");
  EXPECT_EQ(Printable("\x1b[2Jgone"), "\\x1b[2Jgone");
  EXPECT_EQ(Printable(std::string_view("\0x", 2)), "\\x00x");
  EXPECT_EQ(Printable("\x7f"), "\\x7f");
  EXPECT_EQ(Printable("größe 模型"), "größe 模型");
  EXPECT_EQ(Printable("\u202Egpj.exe"), "\\u{202e}gpj.exe");
  EXPECT_EQ(Printable("\u0085"), "\\u{85}");
}

TEST(Printable, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(Printable("a\xff"), "a\\xff");
  EXPECT_EQ(Printable("\xe2\x82"), "\\xe2\\x82");           // cut off
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
}

TEST(Columns, CountsWideSymbolsTwice) {
  EXPECT_EQ(Columns(""), 0u);
  EXPECT_EQ(Columns("größe"), 5u);
  EXPECT_EQ(Columns("模型"), 4u);
}

TEST(ShortenMiddle, KeepsBothEnds) {
  EXPECT_EQ(ShortenMiddle("abcdefghij", 10), "abcdefghij");
  EXPECT_EQ(ShortenMiddle("abcdefghij", 6), "ab…hij");
  EXPECT_EQ(ShortenMiddle("abcdefghij", 1), "…");
  EXPECT_EQ(ShortenMiddle("abcdefghij", 0), "");
}

TEST(ShortenMiddle, NeverCutsASymbol) {
  const std::string wide = "模型模型模型";
  for (size_t columns = 0; columns <= 12; ++columns) {
    const std::string shortened = ShortenMiddle(wide, columns);
    EXPECT_LE(Columns(shortened), columns);
    EXPECT_EQ(Printable(shortened), shortened);
  }
}

TEST(Style, PaintsOnlyWhenEnabled) {
  EXPECT_EQ(Style(false).Red("x"), "x");
  EXPECT_EQ(Style(true).Red("x"), "\x1b[31mx\x1b[0m");
}

}  // namespace
}  // namespace warmset::cli

// Text that is safe and tidy on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace warmset::cli {

// The text with everything escaped that a terminal would not show as itself:
// control characters, bytes that are not UTF-8, marks that turn the direction
// of writing. A newline becomes "\n", ESC "\x1b".
std::string Printable(std::string_view text);

// How many columns of a terminal it takes. REQUIRES: the text is printable.
size_t Columns(std::string_view text);

// At most that many columns, with "…" where the middle was: names differ at
// their ends. REQUIRES: the text is printable.
std::string ShortenMiddle(std::string_view text, size_t columns);

// The text with line breaks between words, so that no line has more columns than
// that; longer words stay whole. REQUIRES: the text is printable.
std::string Wrap(std::string_view text, size_t columns);

// The same with `indent` blanks before each line, to a width of `columns` in all; as
// one line where `columns` is 0.
std::string Indented(std::string_view text, size_t indent, size_t columns);

// Colours, or nothing.
class Style {
 public:
  explicit Style(bool enabled) : enabled_(enabled) {}

  std::string Bold(std::string_view text) const { return Paint("1", text); }
  std::string Dim(std::string_view text) const { return Paint("2", text); }
  std::string Red(std::string_view text) const { return Paint("31", text); }
  std::string Green(std::string_view text) const { return Paint("32", text); }
  std::string Yellow(std::string_view text) const { return Paint("33", text); }

 private:
  std::string Paint(std::string_view code, std::string_view text) const;

  bool enabled_;
};

}  // namespace warmset::cli

#include "text.h"

#include <algorithm>
#include <clocale>
#include <cwchar>
#include <vector>

#include "fmt/format.h"

namespace warmset::cli {
namespace {

struct Symbol {
  std::string_view bytes;  // its UTF-8
  wchar_t code = 0;
  int columns = -1;  // below 0: not to be shown as it is
};

bool TurnsDirection(wchar_t code) {
  return (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) ||
         code == 0x200E || code == 0x200F || code == 0x061C;
}

// The first symbol of text, which is not empty.
Symbol FirstOf(std::string_view text) {
  // What decodes and measures below depends on the locale's character set.
  static const char* const utf8 = std::setlocale(LC_CTYPE, "C.UTF-8");
  (void)utf8;
  wchar_t code = 0;
  std::mbstate_t state{};
  const size_t length = std::mbrtowc(&code, text.data(), text.size(), &state);
  if (length == 0 || length > text.size()) {  // NUL, broken or cut off
    return {text.substr(0, 1), static_cast<unsigned char>(text[0]), -1};
  }
  return {text.substr(0, length), code, TurnsDirection(code) ? -1 : ::wcwidth(code)};
}

std::string Escape(const Symbol& symbol) {
  if (symbol.code == L'\n') return "\\n";
  if (symbol.code == L'\t') return "\\t";
  if (symbol.bytes.size() > 1)
    return fmt::format("\\u{{{:x}}}", static_cast<uint32_t>(symbol.code));
  return fmt::format("\\x{:02x}", static_cast<unsigned char>(symbol.bytes[0]));
}

std::vector<Symbol> Split(std::string_view text) {
  std::vector<Symbol> symbols;
  while (!text.empty()) {
    symbols.push_back(FirstOf(text));
    text.remove_prefix(symbols.back().bytes.size());
  }
  return symbols;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  for (const Symbol& symbol : Split(text)) {
    printable += symbol.columns < 0 ? Escape(symbol) : std::string(symbol.bytes);
  }
  return printable;
}

size_t Columns(std::string_view text) {
  size_t columns = 0;
  for (const Symbol& symbol : Split(text))
    columns += static_cast<size_t>(std::max(symbol.columns, 0));
  return columns;
}

std::string ShortenMiddle(std::string_view text, size_t columns) {
  if (Columns(text) <= columns) return std::string(text);
  if (columns == 0) return "";
  const std::vector<Symbol> symbols = Split(text);
  // The end tells more: it gets the odd column.
  const size_t for_head = (columns - 1) / 2;
  const size_t for_tail = columns - 1 - for_head;
  std::string head;
  std::string tail;
  size_t used = 0;
  for (auto symbol = symbols.begin(); symbol != symbols.end(); ++symbol) {
    used += static_cast<size_t>(symbol->columns);
    if (used > for_head) break;
    head += symbol->bytes;
  }
  used = 0;
  for (auto symbol = symbols.rbegin(); symbol != symbols.rend(); ++symbol) {
    used += static_cast<size_t>(symbol->columns);
    if (used > for_tail) break;
    tail.insert(0, symbol->bytes);
  }
  return head + "…" + tail;
}

std::string Wrap(std::string_view text, size_t columns) {
  std::string wrapped;
  size_t used = 0;  // columns of the present line
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t width = Columns(word);
    if (used > 0 && used + 1 + width > columns) {
      wrapped += '\n';
      used = 0;
    } else if (used > 0) {
      wrapped += ' ';
      ++used;
    }
    wrapped += word;
    used += width;
  }
  return wrapped;
}

std::string Indented(std::string_view text, size_t indent, size_t columns) {
  constexpr size_t kLeast = 20;  // columns of text
  const std::string blanks(indent, ' ');
  if (columns == 0) return blanks + std::string(text);
  std::string lines = blanks;
  for (const char c : Wrap(text, std::max(columns - std::min(columns, indent), kLeast))) {
    lines += c;
    if (c == '\n') lines += blanks;
  }
  return lines;
}

std::string Style::Paint(std::string_view code, std::string_view text) const {
  return enabled_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : std::string(text);
}

}  // namespace warmset::cli

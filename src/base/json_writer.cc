#include "base/json_writer.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/utf8.h"
#include "fmt/format.h"

namespace warmset {
namespace {

// Where some readers of lines break one, though JSON does not.
struct Separator {
  std::string_view utf8;
  std::string_view escape;
};
constexpr std::array<Separator, 3> kSeparators = {
    {{"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}}};

}  // namespace

void JsonWriter::Separate() {
  if (!first_ && !after_key_) out_ += ',';
  if (depth_ > 0 && !after_key_) BreakLine();
  first_ = false;
  after_key_ = false;
}

void JsonWriter::BreakLine() {
  if (!indented_) return;
  out_ += '\n';
  out_.append(2 * depth_, ' ');
}

void JsonWriter::Begin(char bracket) {
  Separate();
  out_ += bracket;
  ++depth_;
  first_ = true;
}

void JsonWriter::End(char bracket) {
  --depth_;
  if (!first_) BreakLine();
  out_ += bracket;
  first_ = false;
}

void JsonWriter::Raw(std::string_view text) {
  Separate();
  out_ += text;
}

void JsonWriter::Key(std::string_view name) {
  String(name);
  out_ += indented_ ? ": " : ":";
  after_key_ = true;
}

void JsonWriter::Number(double number) {
  std::isfinite(number) ? Raw(fmt::format("{:.6g}", number)) : Null();
}

void JsonWriter::String(std::string_view text) {
  Separate();
  out_ += '"';
  const std::string utf8 = ToUtf8(text);
  for (std::string_view rest = utf8; !rest.empty(); rest.remove_prefix(1)) {
    const char c = rest.front();
    const auto separator =
        std::find_if(kSeparators.begin(), kSeparators.end(),
                     [&](const auto& row) { return rest.starts_with(row.utf8); });
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out_ += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else if (separator != kSeparators.end()) {
      out_ += separator->escape;
      rest.remove_prefix(separator->utf8.size() - 1);
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

}  // namespace warmset

#include "inspection/json_writer.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "fmt/format.h"

namespace warmset::cli {
namespace {

// Where some readers of lines break one, though JSON does not.
struct Separator {
  std::string_view utf8;
  std::string_view escape;
};
constexpr std::array<Separator, 3> kSeparators = {{
    {"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}}};

}  // namespace

void JsonWriter::Separate() {
  if (!first_) out_ += ',';
  first_ = false;
}

void JsonWriter::Begin(char bracket) {
  Separate();
  out_ += bracket;
  first_ = true;
}

void JsonWriter::End(char bracket) {
  out_ += bracket;
  first_ = false;
}

void JsonWriter::Raw(std::string_view text) {
  Separate();
  out_ += text;
}

void JsonWriter::Key(std::string_view name) {
  String(name);
  out_ += ':';
  first_ = true;
}

void JsonWriter::Number(double number) { Raw(fmt::format("{:.6g}", number)); }

void JsonWriter::String(std::string_view text) {
  Separate();
  out_ += '"';
  const std::string utf8 = ToUtf8(text);
  for (std::string_view rest = utf8; !rest.empty(); rest.remove_prefix(1)) {
    const char c = rest.front();
    const auto separator = std::find_if(kSeparators.begin(), kSeparators.end(),
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

}  // namespace warmset::cli

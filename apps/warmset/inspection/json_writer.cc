#include "inspection/json_writer.h"

#include "fmt/format.h"
#include "wire/message_codec.h"

namespace warmset::cli {

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
  for (const char c : wire::ToUtf8(text)) {
    if (c == '"' || c == '\\') {
      out_ += '\\';
      out_ += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out_ += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

}  // namespace warmset::cli

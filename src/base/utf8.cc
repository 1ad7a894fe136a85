#include "base/utf8.h"

namespace warmset {
namespace {

// Bytes of the valid UTF-8 character that text starts with; 0 when there is none.
size_t CharacterBytes(std::string_view text) {
  const auto byte = [&](size_t i) -> unsigned { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t count = first >= 0xC2 && first < 0xE0   ? 2
                       : (first >> 4) == 0xE           ? 3
                       : first >= 0xF0 && first < 0xF5 ? 4
                                                       : 0;
  if (count == 0 || text.size() < count) return 0;
  for (size_t i = 1; i < count; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool shortest_and_defined =
      !(first == 0xE0 && second < 0xA0) && !(first == 0xED && second >= 0xA0) &&
      !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second >= 0x90);
  return shortest_and_defined ? count : 0;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    if (bytes == 0) return false;
    text.remove_prefix(bytes);
  }
  return true;
}

std::string ToUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t bytes = CharacterBytes(text);
    if (bytes == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
      text.remove_prefix(1);
    } else {
      out += text.substr(0, bytes);
      text.remove_prefix(bytes);
    }
  }
  return out;
}

}  // namespace warmset

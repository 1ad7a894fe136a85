#include "inspect/shown.h"

#include "fmt/format.h"
#include "inspect/shard_index.h"

namespace warmset {

std::string Shown(std::string_view text) {
  constexpr size_t kMaxShown = 200;
  if (text.size() <= kMaxShown && IsPrintable(text)) return std::string(text);
  std::string shown;
  for (const char c : text.substr(0, kMaxShown)) {
    if (c >= ' ' && c <= '~') {
      shown += c;
    } else {
      shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (text.size() > kMaxShown) shown += "...";
  return shown;
}

}  // namespace warmset

#include "inspect/identify/atlas_expression.h"

#include <charconv>

namespace warmset {
namespace {

// What follows the text at hand.
struct Rest {
  std::string_view text;
  const Rest* next;
};

class Expansion {
 public:
  Expansion(std::span<const std::string_view> shared,
            absl::FunctionRef<void(const std::string&, size_t)> visit)
      : shared_(shared), visit_(visit) {}

  void Expand(std::string_view text, const Rest* next) {
    if (text.empty()) {
      if (next == nullptr) return Visit();
      return Expand(next->text, next->next);
    }
    const std::string_view item = text.substr(0, ItemEnd(text, '.'));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const Rest rest{text, next};
    if (item.front() == '{') {
      std::string_view inner = item.substr(1, item.size() - 2);
      while (!inner.empty()) {
        const std::string_view each = inner.substr(0, ItemEnd(inner, ','));
        Expand(each, &rest);
        inner.remove_prefix(std::min(inner.size(), each.size() + 1));
      }
      return;
    }
    if (item.front() == '$') return Expand(Shared(item.substr(1)), &rest);
    const size_t before = name_.size();
    if (before != 0) name_ += '.';
    name_ += item;
    Expand(text, next);
    name_.resize(before);
  }

 private:
  // Where the separator is, outside of braces.
  static size_t ItemEnd(std::string_view text, char separator) {
    int depth = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '{') ++depth;
      if (text[i] == '}') --depth;
      if (depth == 0 && text[i] == separator) return i;
    }
    return text.size();
  }

  std::string_view Shared(std::string_view number) const {
    size_t place = 0;
    std::from_chars(number.data(), number.data() + number.size(), place);
    return place < shared_.size() ? shared_[place] : std::string_view();
  }

  void Visit() {
    const size_t colon = name_.rfind(':');
    if (colon == std::string::npos) {
      return visit_(name_, name_.ends_with("bias") ? 1 : 2);
    }
    visit_(name_.substr(0, colon), static_cast<size_t>(name_[colon + 1] - '0'));
  }

  std::span<const std::string_view> shared_;
  absl::FunctionRef<void(const std::string&, size_t)> visit_;
  std::string name_;
};

}  // namespace

void ExpandNames(std::string_view text, std::span<const std::string_view> shared,
                 absl::FunctionRef<void(const std::string&, size_t)> visit) {
  if (!text.empty()) Expansion(shared, visit).Expand(text, nullptr);
}

}  // namespace warmset

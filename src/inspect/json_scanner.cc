#include "inspect/json_scanner.h"

namespace warmset {
namespace {

constexpr const char* kWrongType = "a value has the wrong type";
constexpr const char* kWrongEscape = "a string has a wrong escape";

void AppendUtf8(uint32_t point, std::string& text) {
  const auto put = [&text](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (point < 0x80) return put(point);
  if (point < 0x800) {
    put(0xC0 | point >> 6);
  } else {
    if (point < 0x10000) {
      put(0xE0 | point >> 12);
    } else {
      put(0xF0 | point >> 18);
      put(0x80 | (point >> 12 & 0x3F));
    }
    put(0x80 | (point >> 6 & 0x3F));
  }
  put(0x80 | (point & 0x3F));
}

}  // namespace

bool JsonScanner::FailAtValue() {
  if (at_ == end_) return Fail(kUnclosed);
  constexpr std::string_view kStartsOfValues = "{[\"-0123456789tfn";
  return Fail(kStartsOfValues.find(*at_) != std::string_view::npos ? kWrongType : kMalformed);
}

// Goes on with a string whose part from `run` on has been scanned.
bool JsonScanner::Unescape(const char* run, std::string& unescaped) {
  unescaped.assign(run, at_);
  while (at_ != end_ && *at_ != '"') {
    if (static_cast<unsigned char>(*at_) < 0x20) return Fail("a string has a control character");
    if (*at_ != '\\') {
      unescaped.push_back(*at_++);
      continue;
    }
    if (++at_ == end_) break;
    constexpr std::string_view kEscapes = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const char escape = *at_++;
    if (escape != 'u') {
      const size_t meaning = kEscapes.find(escape);
      if (meaning == std::string_view::npos) return Fail(kWrongEscape);
      unescaped.push_back(kMeanings[meaning]);
      continue;
    }
    uint32_t point = 0;
    if (!Hex4(point)) return false;
    if (point >= 0xDC00 && point < 0xE000) return Fail(kWrongEscape);
    if (point >= 0xD800 && point < 0xDC00) {
      uint32_t low = 0;
      if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') return Fail(kWrongEscape);
      at_ += 2;
      if (!Hex4(low)) return false;
      if (low < 0xDC00 || low >= 0xE000) return Fail(kWrongEscape);
      point = 0x10000 + ((point - 0xD800) << 10 | (low - 0xDC00));
    }
    AppendUtf8(point, unescaped);
  }
  if (at_ == end_) return Fail("a string has no end");
  ++at_;
  return true;
}

bool JsonScanner::Hex4(uint32_t& unit) {
  if (end_ - at_ < 4) return Fail(kWrongEscape);
  for (int i = 0; i < 4; ++i) {
    const char c = *at_++;
    const char lower = static_cast<char>(c | 0x20);
    if (!IsDigit(c) && (lower < 'a' || lower > 'f')) return Fail(kWrongEscape);
    unit = unit << 4 | static_cast<uint32_t>(IsDigit(c) ? c - '0' : lower - 'a' + 10);
  }
  return true;
}

bool JsonScanner::ConsumeNull() {
  SkipSpace();
  constexpr std::string_view kNull = "null";
  if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(kNull)) return false;
  at_ += kNull.size();
  return true;
}

bool JsonScanner::Literal(std::string_view word) {
  if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(word)) {
    return Fail(kMalformed);
  }
  at_ += word.size();
  return true;
}

bool JsonScanner::Number() {
  const auto digits = [this] {
    const char* const start = at_;
    while (at_ != end_ && IsDigit(*at_)) ++at_;
    return at_ - start;
  };
  if (*at_ == '-') ++at_;
  const bool zero = at_ != end_ && *at_ == '0';
  const auto whole = digits();
  if (whole == 0 || (zero && whole > 1)) return Fail(kWrongNumber);
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    if (digits() == 0) return Fail(kWrongNumber);
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (digits() == 0) return Fail(kWrongNumber);
  }
  return true;
}

// Recursive, at most max_depth times.
bool JsonScanner::Skip(size_t max_depth) {
  SkipSpace();
  if (at_ == end_) return Fail(kUnclosed);
  bool first = true;
  switch (*at_) {
    case '{': {
      if (max_depth == 0) return Fail("it is nested too deep");
      ++at_;
      std::string_view key;
      while (NextMember(first, key)) {
        if (!Skip(max_depth - 1)) return false;
      }
      return !failed();
    }
    case '[':
      if (max_depth == 0) return Fail("it is nested too deep");
      ++at_;
      while (NextElement(first)) {
        if (!Skip(max_depth - 1)) return false;
      }
      return !failed();
    case '"': {
      std::string_view text;
      return String(text);
    }
    case 't':
      return Literal("true");
    case 'f':
      return Literal("false");
    case 'n':
      return Literal("null");
    default:
      return *at_ == '-' || IsDigit(*at_) ? Number() : Fail(kMalformed);
  }
}

bool JsonScanner::AtEnd() {
  SkipSpace();
  return at_ == end_;
}

}  // namespace warmset

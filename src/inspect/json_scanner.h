// A strict scanner of JSON text, front to back in one pass and without memory of
// its own: a header of safetensors may have 100 MB, an index of shards as much, and an
// index of their structure would take several times that.
//
// Grammar: RFC 8259. Accepted is nothing beyond it, nor a lone surrogate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace warmset {

// Methods return false on a mistake; then error() says which, offset() where, and
// nothing more may be called. Not thread-safe; the text must outlive it.
class JsonScanner {
 public:
  // REQUIRES: text is UTF-8.
  explicit JsonScanner(std::string_view text)
      : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  // The next thing must be a '{' or '['.
  bool BeginObject() { return Begin('{'); }
  bool BeginArray() { return Begin('['); }
  // Goes on to the next member of the object, or element of the array, that was
  // begun last: true with the scanner at its value, false at the end, or on a
  // mistake. first: true before the first call, which sets it to false. A key is
  // valid until the next key.
  bool NextMember(bool& first, std::string_view& key);
  bool NextElement(bool& first);

  // Values. A string is valid until the next value.
  bool String(std::string_view& text) { return AnyString(text, value_); }
  bool Uint64(uint64_t& number);
  // True, and consumes it, if the next thing is null; never a mistake.
  bool ConsumeNull();
  // Any value, checked as a whole, nested at most so deep.
  bool Skip(size_t max_depth);
  // Nothing but white space is left.
  bool AtEnd();

  size_t offset() const { return static_cast<size_t>(at_ - begin_); }
  bool failed() const { return error_ != nullptr; }
  // "a number is malformed or out of range" and so on; valid for the whole
  // program. REQUIRES: failed().
  std::string_view error() const { return error_; }

 private:
  static constexpr const char* kUnclosed = "an array or object has no end";
  static constexpr const char* kMalformed = "malformed JSON";
  static constexpr const char* kWrongNumber = "a number is malformed or out of range";

  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
  bool Fail(const char* error) {
    error_ = error;
    return false;
  }
  bool Begin(char bracket);
  bool AnyString(std::string_view& text, std::string& unescaped);
  bool Unescape(const char* run, std::string& unescaped);
  bool Hex4(uint32_t& unit);
  bool Literal(std::string_view word);
  bool Number();
  bool FailAtValue();
  void SkipSpace() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  const char* const begin_;
  const char* at_;
  const char* const end_;
  const char* error_ = nullptr;
  std::string key_;    // the last one that had escapes
  std::string value_;  // likewise
};

// Inline: called for every value of a header with a million tensors.

inline bool JsonScanner::Begin(char bracket) {
  SkipSpace();
  if (at_ == end_ || *at_ != bracket) return FailAtValue();
  ++at_;
  return true;
}

inline bool JsonScanner::NextMember(bool& first, std::string_view& key) {
  SkipSpace();
  if (at_ == end_) return Fail(kUnclosed);
  if (*at_ == '}') {
    ++at_;
    return false;
  }
  if (!first) {
    if (*at_ != ',') return Fail(kMalformed);
    ++at_;
    SkipSpace();
  }
  first = false;
  if (at_ == end_) return Fail(kUnclosed);
  if (*at_ != '"') return Fail(kMalformed);
  if (!AnyString(key, key_)) return false;
  SkipSpace();
  if (at_ == end_) return Fail(kUnclosed);
  if (*at_ != ':') return Fail(kMalformed);
  ++at_;
  return true;
}

inline bool JsonScanner::NextElement(bool& first) {
  SkipSpace();
  if (at_ == end_) return Fail(kUnclosed);
  if (first) {
    first = false;
    if (*at_ != ']') return true;
  } else if (*at_ == ',') {
    ++at_;
    return true;
  }
  if (*at_ != ']') return Fail(kMalformed);
  ++at_;
  return false;
}

inline bool JsonScanner::AnyString(std::string_view& text, std::string& unescaped) {
  SkipSpace();
  if (at_ == end_ || *at_ != '"') return FailAtValue();
  const char* const run = ++at_;
  while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20) {
    ++at_;
  }
  if (at_ != end_ && *at_ == '"') {
    text = {run, static_cast<size_t>(at_ - run)};
    ++at_;
    return true;
  }
  if (!Unescape(run, unescaped)) return false;
  text = unescaped;
  return true;
}

inline bool JsonScanner::Uint64(uint64_t& number) {
  SkipSpace();
  if (at_ == end_) return Fail(kUnclosed);
  if (!IsDigit(*at_)) return *at_ == '-' ? Fail(kWrongNumber) : FailAtValue();
  const char* const start = at_;
  number = 0;
  // So many digits always fit.
  constexpr std::ptrdiff_t kSafeDigits = std::numeric_limits<uint64_t>::digits10;
  const char* const safe_end = at_ + std::min(end_ - at_, kSafeDigits);
  for (; at_ != safe_end && IsDigit(*at_); ++at_) {
    number = number * 10 + static_cast<uint64_t>(*at_ - '0');
  }
  for (; at_ != end_ && IsDigit(*at_); ++at_) {
    if (__builtin_mul_overflow(number, uint64_t{10}, &number) ||
        __builtin_add_overflow(number, static_cast<uint64_t>(*at_ - '0'), &number)) {
      return Fail(kWrongNumber);
    }
  }
  const bool leading_zero = *start == '0' && at_ - start > 1;
  const bool goes_on = at_ != end_ && (*at_ == '.' || *at_ == 'e' || *at_ == 'E');
  return leading_zero || goes_on ? Fail(kWrongNumber) : true;
}

}  // namespace warmset

// A strict scanner of JSON text, front to back in one pass and without memory of
// its own: a header of safetensors may have 100 MB, and an index of its structure
// would take several times that.
//
// Grammar: RFC 8259. Accepted is nothing beyond it, nor a lone surrogate.
#pragma once

#include <cstddef>
#include <cstdint>
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

}  // namespace warmset

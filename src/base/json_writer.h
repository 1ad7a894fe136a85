// Writes JSON of any size without building a document first.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace warmset {

// Appends values and the commas between them. Not thread-safe. What it makes is
// JSON if every Begin has its End and a key comes before each value of an object.
class JsonWriter {
 public:
  enum class Form { kOneLine, kIndented };
  explicit JsonWriter(std::string& out, Form form = Form::kOneLine)
      : out_(out), indented_(form == Form::kIndented) {}

  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }

  // Bytes that are not UTF-8 become U+FFFD.
  void Key(std::string_view name);
  void String(std::string_view text);
  void Integer(std::integral auto number) { Raw(std::to_string(number)); }
  // Six significant digits. JSON has no infinity and no NaN: they become null.
  void Number(double number);
  void Bool(bool value) { Raw(value ? "true" : "false"); }
  void Null() { Raw("null"); }

  // A key and its value.
  void Field(std::string_view name, std::string_view text) { Key(name), String(text); }
  void Field(std::string_view name, const char* text) { Key(name), String(text); }
  void Field(std::string_view name, bool value) { Key(name), Bool(value); }
  template <std::integral Integer>
    requires(!std::same_as<Integer, bool>)
  void Field(std::string_view name, Integer number) {
    Key(name);
    this->Integer(number);
  }

 private:
  void Begin(char bracket);
  void End(char bracket);
  void Raw(std::string_view text);
  void Separate();
  void BreakLine();

  std::string& out_;
  const bool indented_;
  size_t depth_ = 0;
  bool first_ = true;       // of the object or array at hand
  bool after_key_ = false;  // the value stands on the key's line
};

}  // namespace warmset

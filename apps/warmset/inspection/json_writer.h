// Writes JSON of any size without building a document first.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace warmset::cli {

// Appends values and the commas between them. Not thread-safe. What it makes is
// JSON if every Begin has its End and a key comes before each value of an object.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  void BeginObject() { Begin('{'); }
  void EndObject() { End('}'); }
  void BeginArray() { Begin('['); }
  void EndArray() { End(']'); }

  // Bytes that are not UTF-8 become U+FFFD.
  void Key(std::string_view name);
  void String(std::string_view text);
  void Integer(std::integral auto number) { Raw(std::to_string(number)); }
  void Number(double number);
  void Null() { Raw("null"); }

  // A key and its value.
  void Field(std::string_view name, std::string_view text) { Key(name), String(text); }
  void Field(std::string_view name, std::integral auto number) { Key(name), Integer(number); }

 private:
  void Begin(char bracket);
  void End(char bracket);
  void Raw(std::string_view text);
  void Separate();

  std::string& out_;
  bool first_ = true;  // of the object or array at hand
};

}  // namespace warmset::cli

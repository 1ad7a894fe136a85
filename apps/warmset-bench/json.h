// Figures as JSON: an object whose members keep their order.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace warmset::bench {

class Json {
 public:
  Json& Add(std::string_view key, std::string_view text) {
    return AddRaw(key, fmt::format("\"{}\"", Escaped(text)));
  }
  Json& Add(std::string_view key, const char* text) { return Add(key, std::string_view(text)); }
  Json& Add(std::string_view key, bool value) { return AddRaw(key, value ? "true" : "false"); }
  Json& Add(std::string_view key, std::integral auto value) {
    return AddRaw(key, fmt::format("{}", value));
  }
  Json& Add(std::string_view key, double value) { return AddRaw(key, fmt::format("{:.6g}", value)); }
  Json& Add(std::string_view key, const Json& object) { return AddRaw(key, object.Text()); }
  Json& Add(std::string_view key, const std::vector<double>& values) {
    std::vector<std::string> texts;
    for (const double value : values) texts.push_back(fmt::format("{:.6g}", value));
    return AddRaw(key, fmt::format("[{}]", fmt::join(texts, ",")));
  }

  std::string Text() const { return "{" + members_ + "}"; }

 private:
  Json& AddRaw(std::string_view key, std::string_view value) {
    members_ += fmt::format("{}\"{}\":{}", members_.empty() ? "" : ",", Escaped(key), value);
    return *this;
  }
  static std::string Escaped(std::string_view text) {
    std::string escaped;
    for (const char c : text) {
      if (c == '"' || c == '\\') escaped += '\\';
      if (static_cast<unsigned char>(c) >= ' ') escaped += c;
    }
    return escaped;
  }

  std::string members_;
};

}  // namespace warmset::bench

// What is wrong for now and the user should know.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace warmset {

// Shown by `warmset ps` and `warmset doctor` as long as it lasts; logged once when it
// begins or changes, and once when it is over. Loop thread only.
class Notices {
 public:
  // Replaces what was said of the subject ("catalog").
  void Set(std::string_view subject, const std::string& text);
  void Clear(std::string_view subject);
  // Sets it, or clears it with an empty text.
  void Put(std::string_view subject, const std::string& text) {
    text.empty() ? Clear(subject) : Set(subject, text);
  }

  std::vector<std::string> texts() const;

 private:
  std::map<std::string, std::string, std::less<>> by_subject_;
};

}  // namespace warmset

#include "daemon/notices.h"

#include "spdlog/spdlog.h"

namespace warmset {

void Notices::Set(std::string_view subject, const std::string& text) {
  const auto known = by_subject_.find(subject);
  if (known != by_subject_.end() && known->second == text) return;
  by_subject_.insert_or_assign(std::string(subject), text);
  spdlog::warn(text);
}

void Notices::Clear(std::string_view subject) {
  const auto known = by_subject_.find(subject);
  if (known == by_subject_.end()) return;
  spdlog::info("it is over: {}", known->second);
  by_subject_.erase(known);
}

std::vector<std::string> Notices::texts() const {
  std::vector<std::string> texts;
  for (const auto& [subject, text] : by_subject_) texts.push_back(text);
  return texts;
}

}  // namespace warmset

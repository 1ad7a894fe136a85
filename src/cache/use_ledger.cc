#include "cache/use_ledger.h"

#include <algorithm>
#include <utility>

namespace warmset {

void UseLedger::Count(const CachedObject& object) {
  if (lines_.size() >= kMaxLines && !lines_.contains(object.id)) ForgetOldest();
  Line& line = lines_[object.id];
  line.object = object;
  line.history.Count(++now_);
  line.unwanted = false;
  changed_.insert(object.id);
}

void UseLedger::SetUnwanted(const ComponentId& component) {
  const auto line = lines_.find(component);
  if (line == lines_.end()) return;
  line->second.unwanted = true;
  changed_.insert(component);
}

bool UseLedger::IsUnwanted(const ComponentId& component) const {
  const auto line = lines_.find(component);
  return line != lines_.end() && line->second.unwanted;
}

// An eighth at a time: finding them takes a look at all.
void UseLedger::ForgetOldest() {
  std::vector<uint64_t> uses;
  for (const auto& [id, line] : lines_) uses.push_back(line.history.last_request);
  const auto eighth = uses.begin() + static_cast<std::ptrdiff_t>(uses.size() / 8);
  std::nth_element(uses.begin(), eighth, uses.end());
  std::erase_if(lines_, [&](const auto& item) {
    if (item.second.history.last_request > *eighth) return false;
    forgotten_.push_back(item.first);
    changed_.erase(item.first);
    return true;
  });
}

void UseLedger::Recall(const Line& line) {
  lines_[line.object.id] = line;
  now_ = std::max(now_, line.history.last_request);
}

UseLedger::Changes UseLedger::TakeChanges() {
  Changes changes;
  for (const ComponentId& id : changed_) changes.lines.push_back(lines_.at(id));
  changed_.clear();
  changes.forgotten = std::exchange(forgotten_, {});
  return changes;
}

}  // namespace warmset

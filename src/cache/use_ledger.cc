#include "cache/use_ledger.h"

#include <algorithm>

namespace warmset {

void UseLedger::Count(const CachedObject& object) {
  Line& line = lines_[object.id];
  line.object = object;
  line.history.Count(++now_);
  changed_.insert(object.id);
}

void UseLedger::Recall(const Line& line) {
  lines_[line.object.id] = line;
  now_ = std::max(now_, line.history.last_request);
}

std::vector<UseLedger::Line> UseLedger::TakeChanged() {
  std::vector<Line> changed;
  for (const ComponentId& id : changed_) changed.push_back(lines_.at(id));
  changed_.clear();
  return changed;
}

}  // namespace warmset

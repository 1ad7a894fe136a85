#include "discover/silent_places.h"

namespace warmset {

void SilentPlaces::Add(const std::string& place) {
  bool is_new = false;
  {
    absl::MutexLock lock(&mutex_);
    is_new = ++waiting_[place] == 1;
    any_ = true;
  }
  if (is_new && changed_) changed_(place, true);
}

void SilentPlaces::Remove(const std::string& place) {
  {
    absl::MutexLock lock(&mutex_);
    const auto known = waiting_.find(place);
    if (known == waiting_.end() || --known->second > 0) return;
    waiting_.erase(known);
    any_ = !waiting_.empty();
  }
  if (changed_) changed_(place, false);
}

bool SilentPlaces::Contain(std::string_view path) const {
  if (!any_) return false;
  absl::MutexLock lock(&mutex_);
  for (const auto& [place, waiting] : waiting_) {
    if (path.starts_with(place) &&
        (path.size() == place.size() || place.ends_with('/') || path[place.size()] == '/')) {
      return true;
    }
  }
  return false;
}

std::vector<std::string> SilentPlaces::All() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> all;
  for (const auto& [place, waiting] : waiting_) all.push_back(place);
  return all;
}

}  // namespace warmset

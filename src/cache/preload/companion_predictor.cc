#include "cache/preload/companion_predictor.h"

#include <algorithm>

namespace warmset {
namespace {

constexpr std::string_view kAnyone;
constexpr size_t kMaxHabits = 4096;
constexpr size_t kMaxCompanions = 32;  // of one habit
constexpr size_t kMaxRecent = 256;
constexpr double kFadeAt = 64;  // uses; then all counts are halved
constexpr double kFadedAway = 0.5;

}  // namespace

std::vector<CompanionPredictor::Companion> CompanionPredictor::CompanionsOf(
    std::string_view user, const ModelId& model, double least_probability) const {
  auto habit = counts_.find({std::string(user), model});
  if (habit == counts_.end() || habit->second.uses < kLeastUses) {
    habit = counts_.find({std::string(kAnyone), model});
  }
  std::vector<Companion> companions;
  if (habit == counts_.end() || habit->second.uses < kLeastUses) return companions;
  for (const auto& [companion, together] : habit->second.together) {
    const double probability = (together + 1) / (habit->second.uses + 2);
    if (probability >= least_probability) companions.push_back({companion, probability});
  }
  std::sort(companions.begin(), companions.end(), [](const Companion& a, const Companion& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.model < b.model;
  });
  return companions;
}

void CompanionPredictor::Count(std::string_view user, const ModelId& model, double seconds) {
  ++uses_;
  while (!recent_.empty() && (recent_.front().seconds + kWindowSeconds < seconds ||
                              recent_.size() > kMaxRecent)) {
    recent_.pop_front();
  }
  std::erase_if(recent_, [&](const Recent& recent) {
    return recent.user == user && recent.model == model;
  });
  for (Recent& recent : recent_) {
    if (recent.user != user || !recent.seen.insert(model).second) continue;
    CountTogether(user, recent.model, model);
    CountTogether(kAnyone, recent.model, model);
  }
  CountUse(user, model);
  CountUse(kAnyone, model);
  recent_.push_back({std::string(user), model, seconds, {}});
}

CompanionPredictor::Counts& CompanionPredictor::Touch(std::string_view user,
                                                      const ModelId& model) {
  const Key key{user, model};
  if (!counts_.contains(key) && counts_.size() >= kMaxHabits) ForgetOldest();
  Counts& counts = counts_[key];
  counts.touched = uses_;
  changed_.insert(key);
  return counts;
}

void CompanionPredictor::CountUse(std::string_view user, const ModelId& model) {
  Counts& counts = Touch(user, model);
  if (counts.uses >= kFadeAt) {
    counts.uses /= 2;
    for (auto& [companion, together] : counts.together) together /= 2;
    std::erase_if(counts.together, [](const auto& item) { return item.second < kFadedAway; });
  }
  counts.uses += 1;
}

void CompanionPredictor::CountTogether(std::string_view user, const ModelId& model,
                                       const ModelId& companion) {
  Counts& counts = Touch(user, model);
  if (!counts.together.contains(companion) && counts.together.size() >= kMaxCompanions) {
    counts.together.erase(std::min_element(
        counts.together.begin(), counts.together.end(),
        [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  counts.together[companion] += 1;
}

// An eighth at a time: finding them takes a look at all.
void CompanionPredictor::ForgetOldest() {
  std::vector<uint64_t> touched;
  for (const auto& [key, counts] : counts_) touched.push_back(counts.touched);
  const auto eighth = touched.begin() + static_cast<std::ptrdiff_t>(touched.size() / 8);
  std::nth_element(touched.begin(), eighth, touched.end());
  std::erase_if(counts_, [&](const auto& item) {
    if (item.second.touched > *eighth) return false;
    changed_.insert(item.first);
    return true;
  });
}

void CompanionPredictor::Recall(Habit habit) {
  if (counts_.size() >= kMaxHabits) return;
  counts_[{std::move(habit.user), habit.model}] = {.uses = habit.uses,
                                                   .together = std::move(habit.together)};
}

std::vector<CompanionPredictor::Habit> CompanionPredictor::TakeChanged() {
  std::vector<Habit> changed;
  for (const Key& key : changed_) {
    Habit& habit = changed.emplace_back(Habit{.user = key.first, .model = key.second});
    const auto counts = counts_.find(key);
    if (counts == counts_.end()) continue;
    habit.uses = counts->second.uses;
    habit.together = counts->second.together;
  }
  changed_.clear();
  return changed;
}

}  // namespace warmset

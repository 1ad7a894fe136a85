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
// How many predictions an estimate weighs as much as, in its calibration.
constexpr double kEstimateWeight = 16;
constexpr double kFadeChecksAt = 200;  // predictions of a bin

}  // namespace

std::vector<CompanionPredictor::Prediction> CompanionPredictor::Estimate(
    std::string_view user, const ModelId& model) const {
  auto habit = counts_.find({std::string(user), model});
  const bool own = habit != counts_.end() && habit->second.uses >= kLeastUses;
  if (!own) {
    habit = counts_.find({std::string(kAnyone), model});
  }
  std::vector<Prediction> predictions;
  if (habit == counts_.end() || habit->second.uses < kLeastUses) return predictions;
  for (const auto& [companion, together] : habit->second.together) {
    const double estimate = (together + 1) / (habit->second.uses + 2);
    if (estimate < kBinsFrom[0]) continue;
    const auto above = std::upper_bound(kBinsFrom.begin(), kBinsFrom.end(), estimate);
    const auto bin = static_cast<size_t>(above - kBinsFrom.begin() - 1);
    predictions.push_back({companion, estimate, own ? bin : kBinsFrom.size() + bin});
  }
  return predictions;
}

std::vector<CompanionPredictor::Companion> CompanionPredictor::CompanionsOf(
    std::string_view user, const ModelId& model, double least_probability) const {
  std::vector<Companion> companions;
  for (const Prediction& prediction : Estimate(user, model)) {
    const Bin& bin = bins_[prediction.bin];
    const double probability = (bin.used + kEstimateWeight * prediction.estimate) /
                               (bin.predicted + kEstimateWeight);
    if (probability >= least_probability) companions.push_back({prediction.model, probability});
  }
  std::sort(companions.begin(), companions.end(), [](const Companion& a, const Companion& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.model < b.model;
  });
  return companions;
}

void CompanionPredictor::Count(std::string_view user, const ModelId& model, double seconds) {
  ++uses_;
  // Part by part, or cached and then attached: one use, until something follows it.
  const auto same = std::find_if(recent_.begin(), recent_.end(), [&](const Recent& recent) {
    return recent.user == user && recent.model == model && recent.seen.empty() &&
           recent.seconds + kWindowSeconds >= seconds;
  });
  if (same != recent_.end()) {
    same->seconds = seconds;
    return;
  }
  const size_t too_many = recent_.size() - std::min(recent_.size(), kMaxRecent);
  size_t place = 0;
  std::erase_if(recent_, [&](const Recent& recent) {
    const bool over = place++ < too_many || recent.seconds + kWindowSeconds < seconds ||
                      (recent.user == user && recent.model == model);
    if (over) Check(recent);
    return over;
  });
  for (Recent& recent : recent_) {
    if (recent.user != user || !recent.seen.insert(model).second) continue;
    CountTogether(user, recent.model, model);
    CountTogether(kAnyone, recent.model, model);
  }
  std::vector<Prediction> predicted = Estimate(user, model);
  CountUse(user, model);
  CountUse(kAnyone, model);
  recent_.push_back({std::string(user), model, seconds, std::move(predicted), {}});
}

void CompanionPredictor::Check(const Recent& recent) {
  for (const Prediction& prediction : recent.predicted) {
    Bin& bin = bins_[prediction.bin];
    if (bin.predicted >= kFadeChecksAt) {
      bin.predicted /= 2;
      bin.used /= 2;
    }
    bin.predicted += 1;
    bin.used += recent.seen.contains(prediction.model) ? 1 : 0;
  }
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

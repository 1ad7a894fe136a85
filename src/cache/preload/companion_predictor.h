// Which models are used together: a LoRA, a ControlNet or a VAE with its base.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/digest.h"

namespace warmset {

// Counts, for each user and for all of them, how often a model's use was followed by
// that of another within a minute and before the next use of the first. Uses of one
// model with nothing between them are one. Habits that
// change are followed: old uses fade. Where many things are used by chance some look
// like habits, so probabilities are calibrated by how often such predictions came
// true. Bounded memory. Not thread-safe.
class CompanionPredictor {
 public:
  static constexpr double kWindowSeconds = 60;
  // Fewer uses of a model say nothing.
  static constexpr double kLeastUses = 3;

  struct Companion {
    ModelId model;
    double probability = 0;
  };
  // What `user` will ask for with the model, at least so likely, 0.75 and more; as all
  // users do, while that one is not known. The most likely first.
  std::vector<Companion> CompanionsOf(std::string_view user, const ModelId& model,
                                      double least_probability) const;

  // The user asks for the model. Times never go back. REQUIRES: user is not empty.
  void Count(std::string_view user, const ModelId& model, double seconds);

  // What is counted, for the catalog; an empty user stands for all.
  struct Habit {
    std::string user;
    ModelId model;
    double uses = 0;  // of the model
    std::unordered_map<ModelId, double> together{};
  };
  void Recall(Habit habit);
  // Those that changed since the last call; without uses: forgotten.
  std::vector<Habit> TakeChanged();

 private:
  using Key = std::pair<std::string, ModelId>;  // user, model
  // By the rule of succession, (together + 1) / (uses + 2): at least 0.75, 0.85, 0.95.
  static constexpr std::array<double, 3> kBinsFrom = {0.75, 0.85, 0.95};
  struct Bin {
    double predicted = 0;
    double used = 0;
  };
  struct Prediction {
    ModelId model;
    double estimate = 0;  // by the rule of succession
    size_t bin = 0;
  };
  struct Counts {
    double uses = 0;
    std::unordered_map<ModelId, double> together;
    uint64_t touched = 0;  // by the number of the use
  };
  // A use whose companions may still come.
  struct Recent {
    std::string user;
    ModelId model;
    double seconds = 0;
    std::vector<Prediction> predicted;
    std::set<ModelId> seen;
  };

  std::vector<Prediction> Estimate(std::string_view user, const ModelId& model) const;
  // The use's companions have come, or come no more.
  void Check(const Recent& recent);
  Counts& Touch(std::string_view user, const ModelId& model);
  void CountUse(std::string_view user, const ModelId& model);
  void CountTogether(std::string_view user, const ModelId& model, const ModelId& companion);
  void ForgetOldest();

  uint64_t uses_ = 0;
  std::map<Key, Counts> counts_;
  std::set<Key> changed_;
  std::deque<Recent> recent_;  // oldest first
  std::array<Bin, 2 * kBinsFrom.size()> bins_{};  // of users' own habits, then of anyone's
};

}  // namespace warmset

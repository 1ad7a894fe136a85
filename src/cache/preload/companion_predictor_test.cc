#include "cache/preload/companion_predictor.h"

#include <random>

#include "gtest/gtest.h"

namespace warmset {
namespace {

ModelId Model(std::string_view name) { return DigestOf<ModelId>(AsBytes(name)); }

const ModelId kBase = Model("base");
const ModelId kLora = Model("lora");
const ModelId kVae = Model("vae");

class CompanionPredictorTest : public testing::Test {
 protected:
  // One run of a pipeline, long after the one before.
  void Run(std::string_view user, std::initializer_list<ModelId> models) {
    seconds_ += 2 * CompanionPredictor::kWindowSeconds;
    for (const ModelId& model : models) predictor_.Count(user, model, seconds_);
  }
  std::vector<ModelId> CompanionsOf(std::string_view user, const ModelId& model) {
    std::vector<ModelId> models;
    for (const auto& companion : predictor_.CompanionsOf(user, model, 0.75)) {
      models.push_back(companion.model);
    }
    return models;
  }
  CompanionPredictor predictor_;
  double seconds_ = 0;
};

TEST_F(CompanionPredictorTest, WhatIsUsedTogetherThreeTimesIsPredicted) {
  for (int i = 0; i < 2; ++i) Run("a", {kBase, kLora});
  EXPECT_TRUE(CompanionsOf("a", kBase).empty());
  Run("a", {kBase, kLora});
  EXPECT_EQ(CompanionsOf("a", kBase), std::vector{kLora});
  EXPECT_DOUBLE_EQ(predictor_.CompanionsOf("a", kBase, 0.75)[0].probability, 0.8);  // 4 of 5
}

TEST_F(CompanionPredictorTest, WhatIsUsedNowAndThenIsNot) {
  for (int i = 0; i < 8; ++i) Run("a", {kBase, i % 2 == 0 ? kLora : kVae});
  EXPECT_TRUE(CompanionsOf("a", kBase).empty());
}

TEST_F(CompanionPredictorTest, AUserIsPredictedByHisOwnHabits) {
  for (int i = 0; i < 3; ++i) Run("a", {kBase, kLora});
  for (int i = 0; i < 3; ++i) Run("b", {kBase, kVae});
  EXPECT_EQ(CompanionsOf("a", kBase), std::vector{kLora});
  EXPECT_EQ(CompanionsOf("b", kBase), std::vector{kVae});
  EXPECT_TRUE(CompanionsOf("c", kBase).empty());  // as all do: half and half
}

TEST_F(CompanionPredictorTest, AnUnknownUserIsPredictedByEverybodys) {
  for (int i = 0; i < 3; ++i) Run("a", {kBase, kLora});
  EXPECT_EQ(CompanionsOf("new", kBase), std::vector{kLora});
}

TEST_F(CompanionPredictorTest, LaterUsesAndOtherUsersUsesAreNotTogether) {
  for (int i = 0; i < 5; ++i) {
    Run("a", {kBase});
    Run("a", {kLora});
    predictor_.Count("b", kVae, seconds_);
  }
  EXPECT_TRUE(CompanionsOf("a", kBase).empty());
  EXPECT_TRUE(CompanionsOf("b", kLora).empty());
}

TEST_F(CompanionPredictorTest, ACompanionCountsOnceForEachUse) {
  for (int i = 0; i < 3; ++i) Run("a", {kBase, kLora, kLora, kLora});
  EXPECT_DOUBLE_EQ(predictor_.CompanionsOf("a", kBase, 0.75)[0].probability, 0.8);
}

TEST_F(CompanionPredictorTest, UsesPartByPartAreOne) {
  for (int i = 0; i < 3; ++i) Run("a", {kBase, kBase, kBase, kLora, kLora});
  EXPECT_DOUBLE_EQ(predictor_.CompanionsOf("a", kBase, 0.75)[0].probability, 0.8);
}

TEST_F(CompanionPredictorTest, HabitsThatChangeAreFollowed) {
  for (int i = 0; i < 500; ++i) Run("a", {kBase, kLora});
  for (int i = 0; i < 150; ++i) Run("a", {kBase, kVae});
  EXPECT_EQ(CompanionsOf("a", kBase), std::vector{kVae});
}

// With many companions that come by chance some come three times in a row.
TEST_F(CompanionPredictorTest, PredictionsThatDoNotComeTrueEnd) {
  std::mt19937 random(1);
  std::bernoulli_distribution with_lora(0.3);
  int early = 0;
  int late = 0;
  for (int i = 0; i < 20'000; ++i) {
    const ModelId base = Model("base " + std::to_string(random() % 500));
    const auto predicted = CompanionsOf("a", base).size();
    (i < 10'000 ? early : late) += static_cast<int>(predicted);
    Run("a", {base});
    if (with_lora(random)) predictor_.Count("a", kLora, seconds_);
  }
  EXPECT_GT(early, 0);
  EXPECT_EQ(late, 0);
}

TEST_F(CompanionPredictorTest, HabitsSurviveThroughRows) {
  for (int i = 0; i < 3; ++i) Run("a", {kBase, kLora});
  auto rows = predictor_.TakeChanged();
  EXPECT_EQ(rows.size(), 4u);  // base and LoRA, of a and of all
  EXPECT_TRUE(predictor_.TakeChanged().empty());
  predictor_ = {};
  for (auto& row : rows) predictor_.Recall(std::move(row));
  EXPECT_EQ(CompanionsOf("a", kBase), std::vector{kLora});
}

TEST_F(CompanionPredictorTest, MemoryIsBoundedAndTheOldestIsForgotten) {
  for (int i = 0; i < 3; ++i) Run("a", {kBase, kLora});
  (void)predictor_.TakeChanged();
  for (int i = 0; i < 20'000; ++i) Run("user" + std::to_string(i), {kVae});
  for (int i = 0; i < 3; ++i) Run("late", {kLora, kVae});
  EXPECT_TRUE(CompanionsOf("a", kBase).empty());
  EXPECT_EQ(CompanionsOf("late", kLora), std::vector{kVae});
  bool forgotten = false;
  for (const auto& row : predictor_.TakeChanged()) {
    forgotten |= row.user == "a" && row.model == kBase && row.uses == 0;
  }
  EXPECT_TRUE(forgotten);  // and the catalog is told
}

}  // namespace
}  // namespace warmset

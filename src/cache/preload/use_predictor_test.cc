#include "cache/preload/use_predictor.h"

#include <random>

#include "gtest/gtest.h"

namespace warmset {
namespace {

CachedObject Object(int number) {
  return {.id = DigestOf<ComponentId>(AsBytes("object " + std::to_string(number))),
          .bytes = 1,
          .load_seconds = 1};
}

class UsePredictorTest : public testing::Test {
 protected:
  void Request(int number) {
    ledger_.Count(Object(number));
    predictor_.Observe(ledger_);
  }
  double Probability(int number) {
    return predictor_.Probability(ledger_.lines().at(Object(number).id).history, ledger_.now());
  }
  UseLedger ledger_;
  UsePredictor predictor_;
};

TEST_F(UsePredictorTest, SaysNothingBeforePredictionsWereChecked) {
  for (uint64_t i = 0; i < UsePredictor::kHorizon; ++i) {
    Request(static_cast<int>(i % 10));
    ASSERT_EQ(Probability(0), 0);
  }
}

TEST_F(UsePredictorTest, PopularOnesAreLikelyAndForgottenOnesAreNot) {
  for (int i = 0; i < 10; ++i) Request(1000 + i);
  for (int i = 0; i < 5000; ++i) Request(i % 20);
  EXPECT_EQ(Probability(0), 1);
  EXPECT_EQ(Probability(1000), 0);
}

// Requests by chance, with chances that differ by a factor of a thousand: of the
// predictions of 75 % and more, at least as many must come true.
TEST_F(UsePredictorTest, ProbabilitiesComeTrue) {
  std::mt19937 random(1);
  std::vector<double> weights;
  for (int i = 1; i <= 300; ++i) weights.push_back(1.0 / i);
  std::discrete_distribution<int> draw(weights.begin(), weights.end());
  for (int i = 0; i < 20'000; ++i) Request(draw(random));
  double sure = 0;
  double came_true = 0;
  for (int round = 0; round < 10; ++round) {
    std::vector<int> predicted;
    for (int i = 0; i < 300; ++i) {
      if (ledger_.lines().contains(Object(i).id) && Probability(i) >= 0.75) predicted.push_back(i);
    }
    const uint64_t then = ledger_.now();
    for (uint64_t i = 0; i < UsePredictor::kHorizon; ++i) Request(draw(random));
    sure += static_cast<double>(predicted.size());
    for (const int i : predicted) {
      came_true += ledger_.lines().at(Object(i).id).history.last_request > then ? 1 : 0;
    }
  }
  EXPECT_GT(sure, 300);
  EXPECT_GE(came_true / sure, 0.75);
}

TEST_F(UsePredictorTest, CalibrationSurvivesThroughRows) {
  for (int i = 0; i < 2000; ++i) Request(i % 20);
  UsePredictor next;
  for (size_t bin = 0; bin < UsePredictor::kBins; ++bin) next.Recall(bin, predictor_.bins()[bin]);
  EXPECT_EQ(next.Probability(ledger_.lines().at(Object(0).id).history, ledger_.now()),
            Probability(0));
}

}  // namespace
}  // namespace warmset

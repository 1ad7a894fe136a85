// What the machine promises, one promise a test; simulator/ tries them against each other.
#include "place/residency.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "place/plan.h"
#include "place/simulator/lru_policy_for_test.h"

namespace warmset::place {
namespace {

const PlaceId kDevice("host:0");

template <typename Id>
Id IdOf(uint64_t number) {
  Id id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

// A model whose components have these bytes; components of other models with the same number
// are the same files.
SharedSnapshot MakeModel(uint64_t model, const std::vector<std::pair<uint64_t, uint64_t>>& parts,
                         uint64_t revision = 1) {
  ModelSnapshot snapshot{.model = IdOf<ModelId>(model),
                         .revision = IdOf<RevisionId>(revision),
                         .name = "m" + std::to_string(model)};
  for (const auto& [component, bytes] : parts) {
    snapshot.components.push_back({.name = "c" + std::to_string(component),
                                   .id = IdOf<ComponentId>(component),
                                   .bytes = ByteCount(bytes)});
  }
  snapshot.files = snapshot.components;
  return std::make_shared<const ModelSnapshot>(std::move(snapshot));
}

class ResidencyTest : public ::testing::Test {
 protected:
  ResidencyTest() { Do(PlaceUp{kDevice}); }

  // Commands are kept until a test takes them.
  void Do(const Event& event) {
    for (Command& command : machine_.Apply(event, Time())) {
      if (auto* answer = std::get_if<Answer>(&command)) {
        answers_[answer->request.value()] = *answer;
      } else if (auto* fill = std::get_if<Fill>(&command)) {
        fills_.push_back(*fill);
      } else if (auto* release = std::get_if<Release>(&command)) {
        releases_.push_back(*release);
      }
    }
  }
  // A demand for all components of a model.
  Demanded Want(const SharedSnapshot& model, PlaceId place = Ram()) {
    Demanded demand{.request = RequestId(++last_request_),
                    .session = SessionId(last_request_),
                    .snapshot = model,
                    .place = place,
                    .reason = place == Ram() ? Reason::kCache : Reason::kLoad};
    for (uint32_t i = 0; i < model->components.size(); ++i) demand.parts.push_back(i);
    return demand;
  }
  uint64_t Demand(const Demanded& demand) {
    Do(demand);
    return demand.request.value();
  }
  // All that was begun succeeds, and so does what that begins.
  void Finish() {
    while (!fills_.empty() || !releases_.empty()) {
      for (const Release& release : std::exchange(releases_, {})) {
        released_.push_back(release);
        Do(Released{release.placement});
      }
      for (const Fill& fill : std::exchange(fills_, {})) {
        Do(Filled{.placement = fill.placement, .bytes = fill.bytes, .content = {}, .seconds = 1});
      }
    }
  }
  Answer AnswerTo(uint64_t request) { return answers_.at(request); }
  bool IsAnswered(uint64_t request) const { return answers_.contains(request); }
  uint64_t Have(const SharedSnapshot& model, PlaceId place = Ram()) {
    const uint64_t request = Demand(Want(model, std::move(place)));
    Finish();
    EXPECT_TRUE(AnswerTo(request).status.ok()) << AnswerTo(request).status;
    return request;
  }

  Residency machine_{{{Ram(), ByteCount(300), 2}, {kDevice, ByteCount(200), 2}},
                     std::make_unique<LruPolicyForTest>()};
  std::map<uint64_t, Answer> answers_;
  std::vector<Fill> fills_;
  std::vector<Release> releases_;
  std::vector<Release> released_;
  uint64_t last_request_ = 0;
};

TEST_F(ResidencyTest, FromDemandToEviction) {
  const auto old = MakeModel(1, {{1, 200}});
  Do(ModelChanged{old});
  Have(old);
  const auto young = MakeModel(2, {{2, 150}});
  Do(ModelChanged{young});
  const uint64_t request = Demand(Want(young));
  ASSERT_EQ(releases_.size(), 1u);
  EXPECT_EQ(releases_[0].why, ReleaseReason::kEvicted);
  EXPECT_TRUE(fills_.empty()) << "what is evicted counts until it is released";
  Finish();
  EXPECT_TRUE(AnswerTo(request).status.ok());
}

TEST_F(ResidencyTest, WhatCannotFitEvictsNothing) {
  const auto there = MakeModel(1, {{1, 250}});
  const auto large = MakeModel(2, {{2, 110}, {3, 110}, {4, 110}});
  Do(ModelChanged{there});
  Do(ModelChanged{large});
  Have(there);
  const Demanded demand = Want(large);
  const Plan plan = PlanFor(machine_, demand, Time());
  EXPECT_EQ(CodeOf(plan.refused), ErrorCode::kRamLimitExceeded);
  EXPECT_EQ(CodeOf(AnswerTo(Demand(demand)).status), ErrorCode::kRamLimitExceeded);
  EXPECT_TRUE(releases_.empty());
}

TEST_F(ResidencyTest, TheLoadOfAClientThatLeftIsGivenUp) {
  const auto model = MakeModel(1, {{1, 100}});
  Do(ModelChanged{model});
  const Demanded first = Want(model);
  const Demanded second = Want(model);
  Demand(first);
  Demand(second);
  Do(ClientGone{first.session});
  EXPECT_EQ(CodeOf(AnswerTo(first.request.value()).status), ErrorCode::kCancelled);
  EXPECT_TRUE(releases_.empty()) << "another one waits for it";
  Do(ClientGone{second.session});
  ASSERT_EQ(releases_.size(), 1u);
  EXPECT_EQ(releases_[0].placement, fills_.at(0).placement);
}

TEST_F(ResidencyTest, AFailedLoadLeavesWhatAnotherWasPromised) {
  const auto good = MakeModel(1, {{1, 50}});
  const auto bad = MakeModel(2, {{1, 50}, {2, 50}});
  Do(ModelChanged{good});
  Do(ModelChanged{bad});
  const uint64_t request = Demand(Want(bad, kDevice));
  Have(good, kDevice);
  const uint64_t again = Demand(Want(bad, kDevice));
  ASSERT_TRUE(IsAnswered(request) && IsAnswered(again));  // Finish() filled all of it
  Do(PlaceDown{kDevice, Error(ErrorCode::kDeviceUnavailable, "the worker died")});
  Do(PlaceUp{kDevice});
  ASSERT_EQ(fills_.size(), 2u);
  Do(FillFailed{fills_[1].placement, Error(ErrorCode::kCorruptedModel, "bad"), {}});
  fills_.pop_back();
  Finish();
  EXPECT_NE(machine_.state().rows.FindVisible(*machine_.state().contents.Find(IdOf<ComponentId>(1)),
                                              kDevice, Form::kRaw),
            nullptr);
}

TEST_F(ResidencyTest, UnloadLeavesWhatAnotherModelHasLoaded) {
  const auto a = MakeModel(1, {{1, 50}});
  const auto b = MakeModel(2, {{1, 50}});
  Do(ModelChanged{a});
  Do(ModelChanged{b});
  Have(a, kDevice);
  Have(b, kDevice);
  Do(Dismissed{.request = RequestId(90), .model = a->model, .place = kDevice});
  EXPECT_TRUE(AnswerTo(90).status.ok());
  EXPECT_EQ(AnswerTo(90).stays.size(), 1u);
  EXPECT_TRUE(releases_.empty());
}

TEST_F(ResidencyTest, AnAttachMeanwhileKeepsAPlacementFromUnload) {
  const auto model = MakeModel(1, {{1, 50}});
  Do(ModelChanged{model});
  Have(model, kDevice);
  Demanded attach = Want(model, kDevice);
  attach.reason.reset();
  attach.lease = attach.must_be_there = true;
  Demand(attach);
  Do(Dismissed{.request = RequestId(90), .model = model->model, .place = kDevice});
  EXPECT_EQ(CodeOf(AnswerTo(90).status), ErrorCode::kInUse);
}

TEST_F(ResidencyTest, AReplacedFileIsNeverServedUnderTheOldName) {
  Do(ModelChanged{MakeModel(1, {{1, 50}, {2, 50}})});
  const uint64_t request = Demand(Want(machine_.state().models.Find(IdOf<ModelId>(1))->snapshot));
  Do(ModelChanged{MakeModel(1, {{3, 50}}, /*revision=*/2)});
  EXPECT_EQ(CodeOf(AnswerTo(request).status), ErrorCode::kFileChanged);
  EXPECT_EQ(releases_.size(), 2u);
}

TEST_F(ResidencyTest, AttachWhileItFills) {
  const auto model = MakeModel(1, {{1, 50}});
  Do(ModelChanged{model});
  Demanded attach = Want(model);
  attach.lease = attach.while_filling = true;
  const uint64_t request = Demand(attach);
  ASSERT_FALSE(IsAnswered(request));
  const PlacementId placement = fills_.at(0).placement;
  Do(FillProgressed{placement, ByteCount(10)});
  ASSERT_TRUE(IsAnswered(request));
  EXPECT_FALSE(AnswerTo(request).parts.at(0).filled);
  Do(FillFailed{placement, Error(ErrorCode::kIoError, "no"), {}});
  EXPECT_TRUE(releases_.empty()) << "its memory stays as long as the client has it";
  Do(LeaseEnded{*AnswerTo(request).parts.at(0).lease});
  EXPECT_EQ(releases_.size(), 1u);
}

TEST_F(ResidencyTest, PathTakesThePlaceOfTheRawForm) {
  const auto model = MakeModel(1, {{1, 100}});
  Do(ModelChanged{model});
  Have(model);
  Demanded path = Want(model);
  path.form = Form::kNamed;
  path.reason = Reason::kPath;
  Demand(path);
  ASSERT_EQ(fills_.size(), 1u);
  EXPECT_TRUE(fills_[0].source.has_value()) << "it is copied, not read again";
  Finish();
  ASSERT_EQ(released_.size(), 1u);
  EXPECT_EQ(released_[0].why, ReleaseReason::kSuperseded);
  const uint64_t third = Demand(path);
  EXPECT_TRUE(fills_.empty() && IsAnswered(third));
}

TEST_F(ResidencyTest, OneComponentTwiceOnADevice) {
  const auto model = MakeModel(1, {{1, 50}});
  Do(ModelChanged{model});
  Demanded shared = Want(model, kDevice);
  shared.form = Form::kShared;
  const uint64_t first = Demand(shared);
  Finish();
  const uint64_t second = Have(model, kDevice);
  EXPECT_NE(AnswerTo(first).parts.at(0).placement, AnswerTo(second).parts.at(0).placement);
}

TEST_F(ResidencyTest, EqualContentIsHeldOnceAfterAComparison) {
  const auto a = MakeModel(1, {{1, 50}});
  const auto b = MakeModel(2, {{2, 50}});
  Do(ModelChanged{a});
  Do(ModelChanged{b});
  const auto digest = IdOf<ContentDigest>(7);
  Demand(Want(a));
  const PlacementId first = fills_.at(0).placement;
  Do(Filled{.placement = first, .bytes = ByteCount(50), .content = digest, .seconds = 1});
  fills_.clear();
  Demand(Want(b));
  const PlacementId second = fills_.at(0).placement;
  Do(Filled{.placement = second, .bytes = ByteCount(50), .content = digest, .seconds = 1});
  EXPECT_TRUE(releases_.empty());
  Do(Compared{second, first, /*equal=*/true});
  ASSERT_EQ(releases_.size(), 1u);
  EXPECT_EQ(releases_[0].placement, second);
}

}  // namespace
}  // namespace warmset::place

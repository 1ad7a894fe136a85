// One conformance suite for all policies, and what tells them apart.
#include "cache/eviction/eviction_policy.h"

#include <set>
#include <string>

#include "cache/eviction/adaptive_policy.h"
#include "cache/eviction/queue_policies.h"
#include "cache/eviction/score_policies.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

CachedObject Object(int number, uint64_t bytes = 100, double load_seconds = 1) {
  return {.id = DigestOf<ComponentId>(AsBytes(std::to_string(number))),
          .bytes = bytes,
          .load_seconds = load_seconds};
}

bool Any(const ComponentId&) { return true; }

// A RAM of a few objects that a policy decides on.
class Ram {
 public:
  Ram(EvictionPolicy& policy, uint64_t capacity) : policy_(policy), capacity_(capacity) {}

  // True for a hit.
  bool Request(const CachedObject& object) {
    policy_.Request(object);
    if (there_.contains(object.id)) return true;
    while (used_ + object.bytes > capacity_) {
      const auto victim = policy_.Victim(Any);
      EXPECT_TRUE(victim && there_.contains(*victim)) << "a victim that is not there";
      used_ -= there_[*victim];
      there_.erase(*victim);
      policy_.Remove(*victim);
    }
    policy_.Insert(object);
    there_[object.id] = object.bytes;
    used_ += object.bytes;
    return false;
  }
  bool Has(int number) const { return there_.contains(Object(number).id); }

 private:
  EvictionPolicy& policy_;
  const uint64_t capacity_;
  uint64_t used_ = 0;
  std::map<ComponentId, uint64_t> there_;
};

class AnyPolicy : public testing::TestWithParam<std::string_view> {
 protected:
  std::unique_ptr<EvictionPolicy> policy_ = *MakeEvictionPolicy(GetParam(), 1000);
};

INSTANTIATE_TEST_SUITE_P(, AnyPolicy, testing::ValuesIn(EvictionPolicyNames()),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(AnyPolicy, HasNoVictimWhenNothingIsThere) {
  EXPECT_EQ(policy_->Victim(Any), std::nullopt);
  policy_->Request(Object(1));
  EXPECT_EQ(policy_->Victim(Any), std::nullopt);
  policy_->Insert(Object(1));
  policy_->Remove(Object(1).id);
  EXPECT_EQ(policy_->Victim(Any), std::nullopt);
}

TEST_P(AnyPolicy, EvictsOnlyWhatMayGo) {
  for (int i = 0; i < 10; ++i) {
    policy_->Request(Object(i));
    policy_->Insert(Object(i));
  }
  for (int i = 0; i < 10; ++i) {
    const ComponentId only = Object(i).id;
    EXPECT_EQ(policy_->Victim([&](const ComponentId& id) { return id == only; }), only) << i;
  }
  EXPECT_EQ(policy_->Victim([](const ComponentId&) { return false; }), std::nullopt);
}

TEST_P(AnyPolicy, ForeseesItsVictims) {
  Ram ram(*policy_, 1000);
  for (int i = 0; i < 100; ++i) ram.Request(Object(i * i % 23));
  const auto take = [](EvictionPolicy& policy) {
    std::vector<ComponentId> victims;
    for (int i = 0; i < 5; ++i) {
      victims.push_back(*policy.Victim(Any));
      policy.Remove(victims.back());
    }
    return victims;
  };
  const auto foreseen = take(*policy_->Foresight());
  EXPECT_EQ(take(*policy_->Foresight()), foreseen);  // and nothing was changed
  EXPECT_EQ(take(*policy_), foreseen);
}

TEST_P(AnyPolicy, EmptiesRamInSomeOrder) {
  std::set<ComponentId> there;
  for (int i = 0; i < 50; ++i) {
    policy_->Request(Object(i % 17));
    if (there.insert(Object(i % 17).id).second) policy_->Insert(Object(i % 17));
  }
  while (!there.empty()) {
    const auto victim = policy_->Victim(Any);
    ASSERT_TRUE(victim.has_value());
    ASSERT_EQ(there.erase(*victim), 1u) << "a victim that is not there";
    policy_->Remove(*victim);
  }
  EXPECT_EQ(policy_->Victim(Any), std::nullopt);
}

TEST_P(AnyPolicy, ServesARandomMixWithinItsRam) {
  Ram ram(*policy_, 1000);
  uint64_t random = 1;
  int hits = 0;
  for (int i = 0; i < 3000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const int popular = static_cast<int>((random >> 33) % 6);
    const int rare = static_cast<int>((random >> 40) % 60);
    hits += ram.Request(Object((random >> 60) < 12 ? popular : rare)) ? 1 : 0;
  }
  EXPECT_GT(hits, 1500);
}

// What was popular before a restart stays when the RAM fills again.
TEST(EvictionPolicy, HistoryOfAnEarlierLifeCounts) {
  for (const char* name : {"ew3", "adaptive", "lru", "lfu"}) {
    SCOPED_TRACE(name);
    UseHistory popular;
    for (uint64_t request = 1; request <= 20; ++request) popular.Count(request);
    UseHistory once;
    once.Count(21);
    UseHistory late = popular;
    late.Count(22);
    const auto policy = *MakeEvictionPolicy(name, 1000);
    policy->Recall(Object(1), late);
    policy->Recall(Object(2), once);
    policy->Insert(Object(1));
    policy->Insert(Object(2));
    EXPECT_EQ(policy->Victim(Any), Object(2).id);
    EXPECT_EQ(policy->Foresight()->Victim(Any), Object(2).id);
  }
}

// Not asked for: what was preloaded goes first.
TEST(EvictionPolicy, WhatNobodyAskedForGoesFirst) {
  for (const char* name : {"ew3", "adaptive", "lru", "lfu"}) {
    SCOPED_TRACE(name);
    const auto policy = *MakeEvictionPolicy(name, 1000);
    policy->Request(Object(1));
    policy->Insert(Object(1));
    policy->Insert(Object(2));
    EXPECT_EQ(policy->Victim(Any), Object(2).id);
  }
}

TEST(EvictionPolicy, UnknownNamesAreRefusedWithTheKnownOnes) {
  const Status status = MakeEvictionPolicy("mru", 1).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig);
  EXPECT_THAT(std::string(Message(status)), testing::HasSubstr("ew3, adaptive"));
}

TEST(LruPolicy, EvictsWhatWasNotUsedForLongest) {
  LruPolicy policy;
  Ram ram(policy, 300);
  for (const int i : {1, 2, 3, 1, 4}) ram.Request(Object(i));
  EXPECT_FALSE(ram.Has(2));
  EXPECT_TRUE(ram.Has(1));
}

TEST(SievePolicy, SparesWhatWasUsedAgain) {
  SievePolicy policy;
  Ram ram(policy, 300);
  for (const int i : {1, 2, 3, 1, 2, 4}) ram.Request(Object(i));
  EXPECT_TRUE(ram.Has(1) && ram.Has(2) && !ram.Has(3));
}

TEST(S3FifoPolicy, AScanLeavesWhatIsUsed) {
  S3FifoPolicy policy(1000);
  Ram ram(policy, 1000);
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 5; ++i) ram.Request(Object(i));
  }
  for (int i = 100; i < 130; ++i) ram.Request(Object(i));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(ram.Has(i)) << i;
}

TEST(Ew3Policy, KeepsWhatIsDearToLoadAndSmall) {
  Ew3Policy policy;
  Ram ram(policy, 300);
  ram.Request(Object(1, 100, 9));  // dear
  ram.Request(Object(2, 100, 1));
  ram.Request(Object(3, 100, 9));
  ram.Request(Object(4, 100, 9));
  EXPECT_FALSE(ram.Has(2));
  EXPECT_TRUE(ram.Has(1));
}

TEST(Ew3Policy, RemembersUsesFromBeforeAnEviction) {
  Ew3Policy policy;
  Ram ram(policy, 200);
  for (int i = 0; i < 20; ++i) ram.Request(Object(1));
  for (const int i : {2, 3, 4}) ram.Request(Object(i));
  EXPECT_TRUE(ram.Has(1));
}

TEST(GdsfPolicy, AgesWhatWasPopularOnce) {
  GdsfPolicy policy;
  Ram ram(policy, 200);
  for (int i = 0; i < 5; ++i) ram.Request(Object(1));
  for (int i = 2; i < 40; ++i) ram.Request(Object(i));
  EXPECT_FALSE(ram.Has(1));
}

int HitsInALoop(EvictionPolicy& policy) {
  Ram ram(policy, 1000);
  int hits = 0;
  for (int i = 0; i < 3000; ++i) hits += ram.Request(Object(i % 15)) ? 1 : 0;
  return hits;
}

TEST(AdaptivePolicy, TurnsToTheNextUseInALoopLargerThanRam) {
  LruPolicy lru;
  EXPECT_EQ(HitsInALoop(lru), 0);
  AdaptivePolicy adaptive(1000);
  EXPECT_GT(HitsInALoop(adaptive), 1200);  // 9 of 14 is what can be had: about 1900
}

}  // namespace
}  // namespace warmset

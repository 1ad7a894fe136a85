#include "cache/entry_store.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "cache/entry_loader.h"
#include "cache/eviction/score_policies.h"
#include "cache/model_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using HoldKind = EntryStore::HoldKind;
using Dropped = EntryStore::Dropped;

constexpr uint64_t kModelBytes = 1 * kMiB;

class EntryStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<Entry> Load(const ModelForTest& model) {
    auto room = store_.MakeRoom(EntryMemory(model.component()));
    EXPECT_TRUE(room.ok()) << room.status();
    evicted_ = room->evicted;
    auto entry = LoadEntry({.component = model.component(),
                            .files = model.files(),
                            .known_digests = {},
                            .memory = std::move(room->memory),
                            .progress = {},
                            .stop = {}});
    EXPECT_TRUE(entry.ok()) << entry.status();
    return *std::move(entry);
  }

  // Room for two models and a bit.
  Budget budget_{ByteCount(2 * kModelBytes + 64 * kKiB)};
  MemoryReserve reserve_{budget_, ByteCount(0)};
  EntryStore store_{budget_, reserve_,
                    [](const ComponentId& id) { return "model " + id.Hex() + ", held by pid 7"; },
                    std::make_unique<LruPolicy>()};
  std::vector<ComponentId> evicted_;
  const ModelForTest a_{kModelBytes, 1};
  const ModelForTest b_{kModelBytes, 2};
  const ModelForTest c_{kModelBytes, 3};
  const ComponentId a_id_ = a_.component().id;
  const ComponentId b_id_ = b_.component().id;
  const ComponentId c_id_ = c_.component().id;
};

// Entries whose memory can have a name.
class GuardedEntryTest : public EntryStoreTest {
 protected:
  void SetUp() override {
    folder_ = "/dev/shm/warmset-entry-test-XXXXXX";
    if (::mkdtemp(folder_.data()) == nullptr) GTEST_SKIP() << "no /dev/shm to write to";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  LoadMemory Memory(const ModelForTest& model) {
    auto room = store_.MakeRoom(EntryMemory(model.component()), /*touched=*/false);
    EXPECT_TRUE(room.ok()) << room.status();
    auto file = os::MemoryFile::CreateOnTmpfs(folder_, kModelBytes, {});
    EXPECT_TRUE(file.ok()) << file.status();
    room->memory.file = *std::move(file);
    return std::move(room->memory);
  }

  std::string folder_;
};

TEST_F(GuardedEntryTest, ACopyTakesThePlaceOfASealedEntryAndLeasesKeepThat) {
  std::optional<EntryHold> lease;
  {
    store_.Publish(Load(a_));
    lease = store_.Hold(a_id_, HoldKind::kLease);
  }
  auto copy = CopyEntry(lease->entry(), a_.component(), Memory(a_));
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_TRUE((*copy)->guarded());
  EXPECT_TRUE(*SameContent(**copy, lease->entry()));
  store_.Publish(*std::move(copy));
  ASSERT_NE(store_.Find(a_id_), nullptr);
  EXPECT_TRUE(store_.Find(a_id_)->guarded());
  EXPECT_FALSE(lease->entry().guarded());
  EXPECT_GT(store_.MemoryUse().dropped, ByteCount(0));
  lease.reset();
  EXPECT_EQ(store_.MemoryUse().dropped, ByteCount(0));
  EXPECT_TRUE(store_.Find(a_id_)->guarded());
  EXPECT_EQ(store_.Drop(a_id_), Dropped::kFreed);
  EXPECT_EQ(store_.MemoryUse().entries, ByteCount(0));
}

TEST_F(GuardedEntryTest, AnEarlierDaemonsFileIsTrustedByItsDigests) {
  const auto first = Load(a_);
  auto memory = Memory(a_);
  std::copy_n(a_.Expected().data(), kModelBytes,
              reinterpret_cast<char*>(memory.file.writable().data()));
  ASSERT_TRUE(memory.file.Seal().ok());
  auto adopted = AdoptEntry(a_.component(), std::move(memory), first->chunks(), {});
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_EQ((*adopted)->content(), first->content());
  adopted->reset();

  auto other = Memory(b_);  // zeros
  ASSERT_TRUE(other.file.Seal().ok());
  EXPECT_EQ(CodeOf(AdoptEntry(b_.component(), std::move(other), first->chunks(), {}).status()),
            ErrorCode::kCorruptedModel);
}

TEST_F(EntryStoreTest, PublishedEntriesAreFoundUntilDropped) {
  EXPECT_EQ(store_.Find(a_id_), nullptr);
  EXPECT_EQ(store_.Hold(a_id_, HoldKind::kLease), std::nullopt);
  store_.Publish(Load(a_));
  ASSERT_NE(store_.Find(a_id_), nullptr);
  EXPECT_EQ(store_.Find(a_id_)->bytes(), kModelBytes);
  EXPECT_THAT(store_.Components(), ElementsAre(a_id_));
  EXPECT_EQ(store_.Drop(a_id_), Dropped::kFreed);
  EXPECT_EQ(store_.Drop(a_id_), Dropped::kNotThere);
  EXPECT_EQ(store_.MemoryUse().total(), ByteCount(0));
}

TEST_F(EntryStoreTest, EvictsWhatWasNotUsedForLongest) {
  store_.Publish(Load(a_));
  store_.Publish(Load(b_));
  store_.Hold(a_id_, HoldKind::kLease);  // a use, ended at once
  store_.Publish(Load(c_));
  EXPECT_THAT(evicted_, ElementsAre(b_id_));
  EXPECT_THAT(store_.Components(), UnorderedElementsAre(a_id_, c_id_));
  EXPECT_LE(store_.MemoryUse().total(), store_.MemoryUse().limit);
}

TEST_F(EntryStoreTest, WhatIsExpendableLeavesBeforeWhatThePolicyNames) {
  store_.SetExpendable([&](const ComponentId& id) { return id == b_id_; });
  store_.Publish(Load(a_));
  store_.Publish(Load(b_));
  store_.Publish(Load(c_));
  EXPECT_THAT(evicted_, ElementsAre(b_id_));
}

TEST_F(EntryStoreTest, WhatMattersMoreStaysEvenIfItIsExpendable) {
  store_.SetExpendable([&](const ComponentId& id) { return id == b_id_; });
  store_.SetRetention([&](const ComponentId& id) {
    return id == b_id_ ? EntryStore::Retention::kMedium : EntryStore::Retention::kLow;
  });
  store_.Publish(Load(a_));
  store_.Publish(Load(b_));
  store_.Publish(Load(c_));
  EXPECT_THAT(evicted_, ElementsAre(a_id_));
}

TEST_F(EntryStoreTest, WhatIsHeldStaysAndIsNamedWhenThereIsNoRoom) {
  const EntryHold lease = store_.Publish(Load(a_)).Again(HoldKind::kLease);
  store_.Publish(Load(b_));
  const auto room = store_.MakeRoom(ByteCount(2 * kModelBytes));
  EXPECT_EQ(CodeOf(room.status()), ErrorCode::kRamLimitExceeded);
  EXPECT_THAT(std::string(Message(room.status())),
              HasSubstr("held by model " + a_id_.Hex() + ", held by pid 7"));
  EXPECT_NE(store_.Find(b_id_), nullptr);  // nothing was evicted in vain
  EXPECT_EQ(store_.HoldsOn(a_id_).leases, 1u);
  EXPECT_EQ(store_.HoldsOn(a_id_).pins, 0u);

  store_.Publish(Load(c_));
  EXPECT_THAT(evicted_, ElementsAre(b_id_));
}

// Whatever the policy names, and before all that is of low priority.
TEST_F(EntryStoreTest, WhatNoFileHasAnyMoreLeavesFirst) {
  store_.SetRetention([&](const ComponentId& id) {
    return id == b_id_ ? EntryStore::Retention::kGone : EntryStore::Retention::kLow;
  });
  store_.Publish(Load(a_));
  store_.Publish(Load(b_));  // used last
  store_.Publish(Load(c_));
  EXPECT_THAT(evicted_, ElementsAre(b_id_));
  EXPECT_THAT(store_.Components(), UnorderedElementsAre(a_id_, c_id_));
}

TEST_F(EntryStoreTest, ADroppedEntryCountsUntilItsLastHoldEnds) {
  {
    EntryHold pin = store_.Publish(Load(a_));
    const EntryHold lease = pin.Again(HoldKind::kLease);
    EXPECT_EQ(store_.Drop(a_id_), Dropped::kHeld);
    EXPECT_EQ(store_.Find(a_id_), nullptr);
    EXPECT_EQ(store_.Hold(a_id_, HoldKind::kLease), std::nullopt);
    EXPECT_GE(store_.MemoryUse().dropped.value(), kModelBytes);
    EXPECT_EQ(lease.entry().bytes(), kModelBytes);

    // The same component may come again meanwhile.
    pin = store_.Publish(Load(a_));
    EXPECT_NE(store_.Find(a_id_), &lease.entry());
    EXPECT_FALSE(store_.MakeRoom(ByteCount(kModelBytes)).ok());
  }
  EXPECT_EQ(store_.MemoryUse().dropped, ByteCount(0));
  EXPECT_NE(store_.Find(a_id_), nullptr);
}

TEST_F(EntryStoreTest, EqualContentIsHeldOnceUnderBothNames) {
  const ModelForTest twin(kModelBytes, 1);  // the same bytes at another place
  const ComponentId twin_id = twin.component().id;
  store_.Publish(Load(a_));
  {
    const std::unique_ptr<Entry> second = Load(twin);
    const auto found = store_.FindTwin(*second);
    ASSERT_TRUE(found.has_value());
    EXPECT_TRUE(*SameContent(found->entry(), *second));
    store_.PublishAs(twin_id, *found);
  }
  EXPECT_EQ(store_.FindTwin(*Load(b_)), std::nullopt);
  EXPECT_EQ(store_.Find(twin_id), store_.Find(a_id_));
  EXPECT_THAT(store_.SharedBy(a_id_), UnorderedElementsAre(a_id_, twin_id));
  EXPECT_EQ(store_.MemoryUse().entries, EntryMemory(a_.component()));

  EXPECT_EQ(store_.Drop(a_id_), Dropped::kShared);
  EXPECT_EQ(store_.Find(a_id_), nullptr);
  EXPECT_NE(store_.Find(twin_id), nullptr);
  EXPECT_EQ(store_.Drop(twin_id), Dropped::kFreed);
}

TEST_F(EntryStoreTest, ATwinThatWasDroppedWhileItWasComparedComesBack) {
  const ModelForTest twin(kModelBytes, 1);
  store_.Publish(Load(a_));
  std::optional<EntryHold> found;
  {
    const std::unique_ptr<Entry> second = Load(twin);
    found = store_.FindTwin(*second);
  }
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(store_.Drop(a_id_), Dropped::kHeld);
  store_.PublishAs(twin.component().id, *found);
  found.reset();
  EXPECT_EQ(store_.MemoryUse().dropped, ByteCount(0));
  EXPECT_NE(store_.Find(twin.component().id), nullptr);
  EXPECT_TRUE(store_.MakeRoom(ByteCount(2 * kModelBytes)).ok());  // it can be evicted again
  EXPECT_THAT(store_.Components(), IsEmpty());
}

TEST_F(EntryStoreTest, DifferentContentIsNotTheSame) {
  const std::unique_ptr<Entry> a = Load(a_);
  const std::unique_ptr<Entry> b = Load(b_);
  EXPECT_FALSE(*SameContent(*a, *b));
}

TEST_F(EntryStoreTest, ALoweredLimitEvictsWhatMayGo) {
  const EntryHold held = store_.Publish(Load(a_));
  store_.Publish(Load(b_));
  budget_.SetLimit(ByteCount(kModelBytes / 2));
  EXPECT_THAT(store_.ShrinkToLimit(), ElementsAre(b_id_));
  EXPECT_NE(store_.Find(a_id_), nullptr);
}

TEST(EntryStoreWithReserveTest, TakesTouchedMemoryAndNeverExceedsTheLimit) {
  Budget budget(ByteCount(100 * kMiB));
  MemoryReserve reserve(budget, ByteCount(64 * kMiB));
  EntryStore store(budget, reserve, [](const ComponentId& id) { return id.Hex(); },
                   std::make_unique<LruPolicy>());
  reserve.WaitUntilSettled();
  {
    const auto room = store.MakeRoom(ByteCount(20 * kMiB));
    ASSERT_TRUE(room.ok());
    EXPECT_EQ(room->memory.file.size(), 32 * kMiB);
    // More than is free: the reserve gives back the rest.
    const auto more = store.MakeRoom(ByteCount(60 * kMiB));
    ASSERT_TRUE(more.ok()) << more.status();
    EXPECT_LE(budget.Use().total(), budget.Use().limit);
    EXPECT_FALSE(store.MakeRoom(ByteCount(20 * kMiB)).ok());
  }
  EXPECT_TRUE(store.MakeRoom(ByteCount(100 * kMiB)).ok());
}

class BothFormsTest : public EntryStoreTest {
 protected:
  // A component that compresses to little, as its bytes are all alike.
  static ModelForTest Compressible(char byte) {
    const std::string content(kModelBytes, byte);
    return ModelForTest(content, {{.name = "t",
                                   .dtype = DType::kBF16,
                                   .shape = {kModelBytes / 2},
                                   .offset = 0,
                                   .bytes = kModelBytes}});
  }
  std::unique_ptr<CompressedEntry> Compress(const ModelForTest& model) {
    auto room = store_.MakeRoom(ByteCount(16 * kKiB));
    EXPECT_TRUE(room.ok()) << room.status();
    auto compressed = CompressedEntry::Make(*store_.Find(model.component().id),
                                            std::move(room->memory.reservation), {});
    EXPECT_TRUE(compressed.ok()) << compressed.status();
    return *std::move(compressed);
  }

  const ModelForTest x_ = Compressible('x');
  const ComponentId x_id_ = x_.component().id;
};

TEST_F(BothFormsTest, RawGoesFirstWhereItCanBeMadeAgain) {
  store_.Publish(Load(x_));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  store_.Publish(Load(a_));
  store_.Hold(x_id_, HoldKind::kLease);  // a is what was not used for longest
  store_.Publish(Load(b_));
  EXPECT_THAT(evicted_, IsEmpty());
  EXPECT_NE(store_.Find(a_id_), nullptr);
  EXPECT_EQ(store_.Find(x_id_), nullptr);
  EXPECT_EQ(store_.Hold(x_id_, HoldKind::kLease), std::nullopt);
  const auto compressed = store_.Compressed(x_id_);
  ASSERT_NE(compressed, nullptr);
  EXPECT_EQ(compressed->raw_bytes(), kModelBytes);
}

TEST_F(BothFormsTest, ADecodedEntryJoinsItsCompressedForm) {
  store_.Publish(Load(x_));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  ASSERT_TRUE(store_.GiveUpRaw(x_id_));
  EXPECT_FALSE(store_.GiveUpCompressed(x_id_));  // nothing would be left
  auto room = store_.MakeRoom(EntryMemory(x_.component()));
  ASSERT_TRUE(room.ok());
  auto decoded = store_.Compressed(x_id_)->Decode(x_id_, std::move(room->memory), 1);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  {
    const EntryHold hold = store_.Publish(*std::move(decoded));
    EXPECT_EQ(store_.Find(x_id_), &hold.entry());
    EXPECT_FALSE(store_.GiveUpRaw(x_id_));  // held
    EXPECT_NE(store_.Compressed(x_id_), nullptr);
  }
  EXPECT_TRUE(store_.GiveUpCompressed(x_id_));
  EXPECT_EQ(store_.Drop(x_id_), Dropped::kFreed);
  EXPECT_EQ(store_.MemoryUse().total(), ByteCount(0));
}

TEST_F(BothFormsTest, TheCompressedFormOfAHeldEntryIsGivenUpLast) {
  std::vector<EntryHold> holds;
  holds.push_back(store_.Publish(Load(x_)));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  holds.push_back(store_.Publish(Load(a_)));
  EXPECT_NE(store_.Compressed(x_id_), nullptr);
  const ByteCount free = store_.MemoryUse().free();
  auto room = store_.MakeRoom(free + ByteCount(4 * kKiB));
  ASSERT_TRUE(room.ok()) << room.status();
  EXPECT_EQ(store_.Compressed(x_id_), nullptr);
  EXPECT_NE(store_.Find(x_id_), nullptr);
}

TEST_F(BothFormsTest, WhatIsBeingDecodedStays) {
  store_.Publish(Load(x_));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  ASSERT_TRUE(store_.GiveUpRaw(x_id_));
  auto decoding = store_.Compressed(x_id_);
  const ByteCount all = store_.MemoryUse().limit;
  EXPECT_EQ(CodeOf(store_.MakeRoom(all).status()), ErrorCode::kRamLimitExceeded);
  decoding.reset();
  const auto room = store_.MakeRoom(all);
  ASSERT_TRUE(room.ok()) << room.status();
  EXPECT_THAT(room->evicted, ElementsAre(x_id_));
}

TEST_F(BothFormsTest, EqualContentIsFoundInCompressedForm) {
  store_.Publish(Load(x_));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  ASSERT_TRUE(store_.GiveUpRaw(x_id_));
  const ModelForTest copy = Compressible('x');
  auto entry = Load(copy);
  EXPECT_EQ(store_.FindTwin(*entry), std::nullopt);
  auto twin = store_.FindCompressedTwin(*entry);
  ASSERT_TRUE(twin.has_value());
  const auto same = SameContent(*entry, *twin->compressed);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_TRUE(*same);
  twin->compressed.reset();
  store_.PublishWith(twin->component, std::move(entry));
  EXPECT_THAT(store_.SharedBy(x_id_), UnorderedElementsAre(x_id_, copy.component().id));
  EXPECT_EQ(store_.Find(x_id_), store_.Find(copy.component().id));
}

TEST_F(BothFormsTest, APlanIsWhatMakeRoomDoes) {
  store_.SetRetention([&](const ComponentId& id) {
    return id == a_id_ ? EntryStore::Retention::kHigh : EntryStore::Retention::kLow;
  });
  store_.Publish(Load(x_));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  store_.Publish(Load(a_));
  const ByteCount limit = store_.MemoryUse().limit;

  const auto plan = store_.PlanRoom(limit, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_EQ(plan->size(), 3U);
  EXPECT_EQ((*plan)[0].what, EntryStore::Step::What::kRawForm);
  EXPECT_THAT((*plan)[0].components, ElementsAre(x_id_));
  EXPECT_EQ((*plan)[0].frees, EntryMemory(x_.component()));
  EXPECT_EQ((*plan)[1].what, EntryStore::Step::What::kComponent);
  EXPECT_THAT((*plan)[1].components, ElementsAre(x_id_));
  EXPECT_EQ((*plan)[1].frees, store_.Compressed(x_id_)->memory());
  EXPECT_THAT((*plan)[2].components, ElementsAre(a_id_));
  EXPECT_NE(store_.Find(x_id_), nullptr);  // nothing was done

  // What the plan is for is held while room is made.
  const std::vector<ComponentId> held = {a_id_};
  EXPECT_EQ(CodeOf(store_.PlanRoom(limit, held).status()), ErrorCode::kRamLimitExceeded);
  EXPECT_THAT(*store_.PlanRoom(ByteCount(1), held), IsEmpty());

  const auto room = store_.MakeRoom(limit);
  ASSERT_TRUE(room.ok());
  EXPECT_THAT(room->evicted, ElementsAre(x_id_, a_id_));
}

TEST_F(BothFormsTest, OfAKeptComponentOneFormStays) {
  store_.SetRetention([](const ComponentId&) { return EntryStore::Retention::kKept; });
  store_.Publish(Load(x_));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  const ByteCount limit = store_.MemoryUse().limit;
  EXPECT_EQ(CodeOf(store_.MakeRoom(limit).status()), ErrorCode::kRamLimitExceeded);
  const auto room = store_.MakeRoom(limit - store_.Compressed(x_id_)->memory());
  ASSERT_TRUE(room.ok()) << room.status();
  EXPECT_EQ(store_.Find(x_id_), nullptr);
  EXPECT_NE(store_.Compressed(x_id_), nullptr);
}

TEST_F(BothFormsTest, TwoDecodingsOfOneEntryBecomeOne) {
  store_.Publish(Load(x_));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  ASSERT_TRUE(store_.GiveUpRaw(x_id_));
  const auto decode = [&] {
    auto room = store_.MakeRoom(EntryMemory(x_.component()));
    EXPECT_TRUE(room.ok());
    return *store_.Compressed(x_id_)->Decode(x_id_, std::move(room->memory), 1);
  };
  auto first = decode();
  auto second = decode();
  const EntryHold one = store_.Publish(std::move(first));
  const EntryHold other = store_.Publish(std::move(second));
  EXPECT_EQ(&one.entry(), &other.entry());
  EXPECT_EQ(store_.MemoryUse().dropped, ByteCount(0));
}

TEST_F(BothFormsTest, WorkOnAnEntryIsNoUseOfIt) {
  std::vector<ComponentId> released;
  store_.SetReleased([&](const ComponentId& id) { released.push_back(id); });
  store_.Publish(Load(a_));
  released.clear();
  store_.HoldForWork(a_id_);  // ends at once
  EXPECT_THAT(released, IsEmpty());
}

TEST_F(BothFormsTest, TellsOfEveryFormThatLeaves) {
  std::vector<std::pair<ComponentId, bool>> left;
  store_.SetLeft([&](const std::vector<ComponentId>& ids, bool whole) {
    for (const ComponentId& id : ids) left.emplace_back(id, whole);
  });
  store_.Publish(Load(x_));
  ASSERT_TRUE(store_.AddCompressed(x_id_, Compress(x_)));
  ASSERT_TRUE(store_.MakeRoom(store_.MemoryUse().limit).ok());
  EXPECT_THAT(left, ElementsAre(std::pair(x_id_, false), std::pair(x_id_, true)));
}

TEST_F(BothFormsTest, TellsWhenTheLastHoldEnds) {
  std::vector<ComponentId> released;
  store_.SetReleased([&](const ComponentId& id) { released.push_back(id); });
  {
    const EntryHold hold = store_.Publish(Load(a_));
    const auto second = store_.Hold(a_id_, HoldKind::kLease);
  }
  EXPECT_THAT(released, ElementsAre(a_id_));
}

}  // namespace
}  // namespace warmset

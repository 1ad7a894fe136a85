#include "daemon/lease_table.h"

#include "gtest/gtest.h"

namespace warmset {
namespace {

const SessionId kOne(1);
const SessionId kTwo(2);
const ModelId kModel = DigestOf<ModelId>(AsBytes("model"));
const ComponentId kUnet = DigestOf<ComponentId>(AsBytes("unet"));

class LeaseTableTest : public testing::Test {
 protected:
  int ended_ = 0;
  LeaseTable table_{[this](const Lease&) { ++ended_; }};
};

TEST_F(LeaseTableTest, ASessionsEndEndsItsLeasesOnly) {
  table_.Add({.session = kOne, .model = kModel, .component = kUnet, .device = {}, .held = nullptr});
  table_.Add({.session = kOne, .model = kModel, .component = kUnet, .device = {}, .held = nullptr});
  table_.Add({.session = kTwo, .model = kModel, .component = kUnet, .device = {}, .held = nullptr});
  table_.EndSession(kOne);
  EXPECT_EQ(ended_, 2);
  EXPECT_EQ(table_.HoldersOf(kModel), (LeaseTable::Holders{{kTwo, 1}}));
}

TEST_F(LeaseTableTest, NobodyReleasesAnothersLease) {
  const LeaseId mine = table_.Add({.session = kOne, .model = kModel, .component = kUnet, .device = {}, .held = nullptr});
  EXPECT_EQ(CodeOf(table_.Release(kTwo, mine)), ErrorCode::kInvalidRequest);
  EXPECT_EQ(ended_, 0);
  EXPECT_TRUE(table_.Release(kOne, mine).ok());
  EXPECT_FALSE(table_.Release(kOne, mine).ok());
  EXPECT_EQ(ended_, 1);
}

TEST_F(LeaseTableTest, RamAndDeviceAreCountedApart) {
  table_.Add({.session = kOne, .model = kModel, .component = kUnet, .device = {}, .held = nullptr});
  table_.Add({.session = kOne, .model = kModel, .component = kUnet, .device = DeviceId("host:0"), .held = nullptr});
  EXPECT_EQ(CountLeases(table_.HoldersOf(kUnet, std::nullopt)), 1u);
  EXPECT_EQ(CountLeases(table_.HoldersOf(kUnet, DeviceId("host:0"))), 1u);
  EXPECT_EQ(CountLeases(table_.HoldersOf(kUnet, DeviceId("host:1"))), 0u);
  EXPECT_EQ(CountLeases(table_.HoldersOf(kModel)), 2u);
}

}  // namespace
}  // namespace warmset

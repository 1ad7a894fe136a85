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

// Another model's leases on the same component, and the model's on others, go on.
TEST_F(LeaseTableTest, EndsTheLeasesOfModelsOnComponents) {
  const auto model = [](int number) {
    return DigestOf<ModelId>(AsBytes("model " + std::to_string(number)));
  };
  const auto component = [](int number) {
    return DigestOf<ComponentId>(AsBytes("component " + std::to_string(number)));
  };
  const auto add = [&](SessionId session, int of_model, int of_component,
                       std::optional<DeviceId> device = std::nullopt) {
    return table_.Add({session, model(of_model), component(of_component), device, nullptr});
  };
  const LeaseId first = add(kOne, 1, 1);
  const LeaseId placed = add(kOne, 1, 1, DeviceId("host:0"));
  const LeaseId second = add(kTwo, 1, 1);
  add(kTwo, 2, 1);
  add(kOne, 1, 2);

  const auto by_session = table_.EndLeasesOn({model(1)}, {component(1)});
  ASSERT_EQ(by_session.size(), 2u);
  ASSERT_EQ(by_session.at(kOne).size(), 1u);
  EXPECT_EQ(by_session.at(kOne)[0].leases, (std::vector<LeaseId>{first, placed}));
  EXPECT_EQ(by_session.at(kTwo)[0].leases, (std::vector<LeaseId>{second}));
  EXPECT_EQ(ended_, 3);
  EXPECT_EQ(CountLeases(table_.HoldersOf(model(1))), 1u);
  EXPECT_EQ(CountLeases(table_.HoldersOf(model(2))), 1u);
  EXPECT_EQ(CodeOf(table_.Release(kOne, first)), ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace warmset

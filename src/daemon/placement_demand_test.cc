#include "daemon/placement_demand.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const auto kSdxl = DigestOf<ModelId>(AsBytes("sdxl"));
const auto kTurbo = DigestOf<ModelId>(AsBytes("turbo"));
const auto kVae = DigestOf<ComponentId>(AsBytes("vae"));

TEST(PlacementDemandTest, AFailedLoadLeavesWhatAnotherLoadWasPromised) {
  PlacementDemand demand;
  demand.Begin(1, kVae);
  demand.Begin(2, kVae);
  demand.Commit(2, kTurbo);
  EXPECT_THAT(demand.Abandon(1), IsEmpty());
  EXPECT_THAT(demand.ModelsOf(kVae), ElementsAre(kTurbo));
}

TEST(PlacementDemandTest, AFailedLoadLeavesWhatAnotherLoadStillBrings) {
  PlacementDemand demand;
  demand.Begin(1, kVae);
  demand.Begin(2, kVae);
  EXPECT_THAT(demand.Abandon(1), IsEmpty());
  EXPECT_THAT(demand.Abandon(2), ElementsAre(kVae));
  EXPECT_FALSE(demand.IsNeeded(kVae));
}

TEST(PlacementDemandTest, AnUnloadLeavesWhatAnotherModelHasLoaded) {
  PlacementDemand demand;
  demand.Begin(1, kVae);
  demand.Commit(1, kSdxl);
  demand.Begin(2, kVae);
  demand.Commit(2, kTurbo);
  EXPECT_THAT(demand.ComponentsOf(kTurbo), ElementsAre(kVae));
  EXPECT_FALSE(demand.Remove(kSdxl, kVae));
  EXPECT_TRUE(demand.Remove(kTurbo, kVae));
  EXPECT_FALSE(demand.Remove(kTurbo, kVae));
}

TEST(PlacementDemandTest, AnUnloadLeavesWhatALoadStillBrings) {
  PlacementDemand demand;
  demand.Restore(kSdxl, kVae);
  demand.Begin(1, kVae);
  EXPECT_FALSE(demand.Remove(kSdxl, kVae));
  demand.Commit(1, kTurbo);
  EXPECT_THAT(demand.ModelsOf(kVae), ElementsAre(kTurbo));
}

TEST(PlacementDemandTest, ALoadWhoseComponentWasClearedCommitsNothing) {
  PlacementDemand demand;
  demand.Begin(1, kVae);
  demand.Clear(kVae);
  demand.Commit(1, kSdxl);
  EXPECT_FALSE(demand.IsNeeded(kVae));
}

}  // namespace
}  // namespace warmset

// The machine among fake tiers, a fake catalog and clients, under the eyes of references.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "place/residency.h"
#include "place/simulator/answers_reference_for_test.h"
#include "place/simulator/facts_for_test.h"
#include "place/simulator/fake_catalog_for_test.h"
#include "place/simulator/fake_tiers_for_test.h"
#include "place/simulator/identity_reference_for_test.h"
#include "place/simulator/need_reference_for_test.h"
#include "place/simulator/random_for_test.h"
#include "place/simulator/room_reference_for_test.h"
#include "place/simulator/timeline_for_test.h"
#include "place/simulator/universe_for_test.h"
#include "place/simulator/wants_reference_for_test.h"

namespace warmset::place {

inline PlaceId DeviceForTest() { return PlaceId("host:0"); }

// One run: bad times, in which clients ask for everything and everything may fail; then quiet
// ones, at whose end all must be settled; sometimes a restart and the same again.
class World {
 public:
  explicit World(uint64_t seed);

  void Run();
  const Violations& violations() const { return violations_; }
  // What happened, line by line; kept when `trace` was set before Run().
  bool trace = false;
  const std::vector<std::string>& log() const { return log_; }
  uint64_t steps() const { return steps_; }
  uint64_t served() const { return served_; }

 private:
  // One life of a daemon: only the disk and the catalog go on to the next.
  void Live();
  void BadTimes();
  void QuietTimes();
  // A demand does what its plan says.
  void CheckPlan();

  void Do(const Event& event);
  void Execute(const Command& command);
  void EndLeases(const Event& event);
  // Runs what is due until that time, or, without one, until nothing is.
  void RunUntil(std::optional<Time> end);

  // clients_for_test.cc
  void ActAtRandom();
  Demanded RandomDemand();
  void Demand();
  void Dismiss();
  void EndALease();
  void ChangeTheDisk();
  void ChangeALimit();
  void TroubleADevice();
  void NoticeLater(const ModelId& model);

  Random random_;
  Timeline timeline_;
  Violations violations_;
  Universe universe_;
  FakeTiers tiers_;
  FakeCatalog catalog_;
  std::unique_ptr<Residency> machine_;
  std::unique_ptr<Facts> facts_;
  std::unique_ptr<AnswersReference> answers_;
  std::unique_ptr<WantsReference> wants_;
  std::unique_ptr<NeedReference> needs_;
  std::unique_ptr<RoomReference> room_;
  std::unique_ptr<IdentityReference> identity_;
  RequestId planned_;                 // whose steps are kept
  std::multiset<std::string> taken_;  // for it
  Status planned_outcome_;
  uint64_t life_ = 0;  // tasks of an earlier one are dropped
  uint64_t last_request_ = 0;
  std::vector<SharedSnapshot> snapshots_;  // that clients took
  uint64_t steps_ = 0;
  uint64_t served_ = 0;
  std::vector<std::string> log_;
};

}  // namespace warmset::place

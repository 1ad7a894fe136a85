// What clients, users and the machine's surroundings do at random.
#include <algorithm>
#include <iterator>

#include "place/simulator/world_for_test.h"

namespace warmset::place {
namespace {

constexpr uint64_t kSessions = 4;

template <typename Map>
auto RandomOf(Random& random, const Map& map) {
  return std::next(map.begin(), static_cast<std::ptrdiff_t>(random.Below(map.size())));
}

}  // namespace

void World::ActAtRandom() {
  const uint64_t dice = random_.Below(100);
  if (dice < 45) {
    Demand();
  } else if (dice < 60) {
    EndALease();
  } else if (dice < 70) {
    Dismiss();
  } else if (dice < 74 && !facts_->demands.empty()) {
    Do(Withdrawn{RandomOf(random_, facts_->demands)->first});
  } else if (dice < 77) {
    Do(ClientGone{SessionId(1 + random_.Below(kSessions))});
  } else if (dice < 85) {
    ChangeTheDisk();
  } else if (dice < 90) {
    ChangeALimit();
  } else {
    TroubleADevice();
  }
}

Demanded World::RandomDemand() {
  Demanded demand{.request = RequestId(++last_request_),
                  .session = SessionId(1 + random_.Below(kSessions))};
  // What the daemon knows, which may be out of date on the disk.
  if (facts_->models.empty()) return demand;
  demand.snapshot = RandomOf(random_, facts_->models)->second;
  // A client may have taken its snapshot some time ago.
  snapshots_.push_back(demand.snapshot);
  if (tiers_.bad && random_.OneIn(12)) demand.snapshot = random_.OneOf(snapshots_);
  const uint64_t kind = random_.Below(10);
  if (kind < 3) {  // attach
    demand.lease = true;
    demand.while_filling = random_.OneIn(2);
  } else if (kind < 5) {  // cache
  } else if (kind < 6) {  // preload
    demand.reason = Reason::kPreload;
    demand.may_evict = random_.OneIn(2);
    demand.counts = false;
  } else if (kind < 7) {  // path
    demand.form = Form::kNamed;
    demand.reason = Reason::kPath;
  } else {  // load, attach on the device
    demand.place = DeviceForTest();
    demand.form = random_.OneIn(2) ? Form::kRaw : Form::kShared;
    demand.reason = Reason::kLoad;
    if (kind == 9) {
      demand.reason.reset();
      demand.lease = true;
      demand.must_be_there = true;
    }
  }
  if (demand.place != DeviceForTest()) demand.place = Ram();
  const auto& parts =
      demand.form == Form::kNamed ? demand.snapshot->files : demand.snapshot->components;
  for (uint32_t i = 0; i < parts.size(); ++i) {
    if (demand.parts.empty() || random_.OneIn(2)) demand.parts.push_back(i);
  }
  return demand;
}

void World::Demand() {
  const Demanded demand = RandomDemand();
  if (demand.snapshot != nullptr) Do(demand);
}

void World::Dismiss() {
  Dismissed dismissed{.request = RequestId(++last_request_),
                      .model = random_.OneOf(universe_.models())};
  if (random_.OneIn(3)) dismissed.parts = {"c0"};
  if (random_.OneIn(2)) dismissed.place = random_.OneIn(2) ? Ram() : DeviceForTest();
  if (dismissed.place == Ram() && random_.OneIn(3)) {
    dismissed.form = Form::kNamed;
    dismissed.parts.clear();
  }
  Do(dismissed);
}

void World::EndALease() {
  if (!facts_->leases.empty()) Do(LeaseEnded{RandomOf(random_, facts_->leases)->first});
}

void World::NoticeLater(const ModelId& model) {
  timeline_.After(std::chrono::milliseconds(random_.Below(100)), [this, model, life = life_] {
    if (life != life_) return;
    const SharedSnapshot& now = universe_.OnDisk(model);
    if (now != nullptr) {
      Do(ModelChanged{now});
    } else {
      Do(ModelGone{model});
    }
  });
}

void World::ChangeTheDisk() {
  const ModelId& model = random_.OneOf(universe_.models());
  const uint64_t what = random_.Below(4);
  if (what == 0) {
    universe_.TakeAway(model);
  } else if (what == 1) {
    universe_.ChangeSettings(model);
  } else {
    universe_.ReplaceFiles(model);
  }
  NoticeLater(model);
}

void World::ChangeALimit() {
  const PlaceId place = random_.OneIn(3) ? DeviceForTest() : Ram();
  const uint64_t limit = random_.OneIn(3) ? 60 + random_.Below(150) : 200 + random_.Below(300);
  Do(LimitChanged{place, ByteCount(limit), ByteCount(place == Ram() ? random_.Below(40) : 0)});
}

void World::TroubleADevice() {
  if (random_.OneIn(3)) {
    tiers_.Kill(DeviceForTest(), /*for_good=*/random_.OneIn(6));
  } else {
    tiers_.Observe(DeviceForTest());
  }
}

}  // namespace warmset::place

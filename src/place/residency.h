// The residency machine: what is where, what should be, who needs it.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "place/command.h"
#include "place/draft.h"
#include "place/event.h"
#include "place/room.h"
#include "place/state.h"

namespace warmset::place {

// A pure state machine: events go in, commands come out, and the same events at the same times
// give the same commands. It has no loop, thread, clock or I/O of its own. Its rules are in
// docs/design/residency.md; event.h and command.h say what each value promises.
//
// Every Apply() takes the event into the tables, then goes over the tables until nothing is
// left to do. Commands follow from demands, desires and rows, never from earlier commands.
// Copyable: a plan goes on with a copy. Not thread-safe.
class Residency {
 public:
  // REQUIRES: Ram() is among the places. Devices are starting until PlaceUp.
  Residency(const std::vector<PlaceOptions>& places, std::unique_ptr<VictimPolicy> policy);

  // REQUIRES: now is no earlier than at the last call.
  Commands Apply(const Event& event, Time now);
  // When TimePassed must come unless another event does.
  std::optional<Time> NextDeadline() const;

  const State& state() const { return state_; }

 private:
  using DemandIt = std::list<Demand>::iterator;
  struct Admission {
    enum class Verdict { kAdmitted, kWaits, kRefused };
    Verdict verdict = Verdict::kAdmitted;
    Status why{};                         // unless it was admitted
    PlaceId place{};                      // that lacks room
    std::vector<PlaceId> needed{};        // where it waits for room
    std::vector<PlacementId> blockers{};  // see Answer
    std::vector<PlacementId> targets{};   // when it was
  };

  // residency_clients.cc
  void On(const Demanded& event);
  void On(const Withdrawn& event);
  void On(const Dismissed& event);
  void On(const LeaseEnded& event);
  void On(const ClientGone& event);
  Status CheckDemand(const Demanded& demand) const;
  void Bind(Demand& demand, std::vector<PlacementId> rows);
  void Unbind(Demand& demand);
  DemandIt FinishDemand(DemandIt demand, Answer answer);
  DemandIt FailDemand(DemandIt demand, const Status& why, std::vector<PlacementId> blockers = {});
  void FailDemandsFor(PlacementId row, const Status& why);
  bool IsFulfilled(const Demand& demand) const;
  DemandIt Fulfil(DemandIt demand);
  void AnswerReady();
  void AnswerDismissals();

  // residency_models.cc
  void On(const ModelChanged& event);
  void On(const ModelGone& event);
  void On(const Restored& event);
  void On(const Persisted& event);
  void On(const TimePassed&) {}
  void Retarget(const ModelSnapshot& snapshot);
  void ForgetUnused(const ModelSnapshot& snapshot);
  void Expire();
  void WriteDesires();

  // residency_tiers.cc
  void On(const FillProgressed& event);
  void On(const Filled& event);
  void On(const FillFailed& event);
  void On(const Released& event);
  void On(const Compared& event);
  void On(const Observed& event);
  void On(const PlaceUp& event);
  void On(const PlaceDown& event);
  void On(const LimitChanged& event);
  Row* Filling(PlacementId id);
  void SupersedeRaw(ContentId content, const PlaceId& place);
  void ReinstateSuperseded();
  void LookForTwin(Row& row);
  void FailRow(Row& row, const Status& why);
  void NoteFailure(const DesireKey& key, const Status& why);
  void NoteIncompressible(const Row& row, const FillFailed& event);
  void DropDamaged(Row& row);
  void Lose(Row& row, const Status& why);
  void Gone(Row& row);

  // residency_room.cc
  void ShrinkPlaces();
  void RevokePromises(const PlaceId& place);
  void Revoke(PlacementId waiting);
  void AdmitDemands();
  void AdmitDemands(bool preloads);
  Status MissingTarget(const Demanded& demand) const;
  Admission Admit(const Wanted& wanted, bool may_evict, RequestId request);
  Admission Admit(const Draft& draft, bool may_evict, RequestId request);
  void Evict(const EvictionStep& step, const PlaceId& place, RequestId request);
  void Refill();
  void Refill(const DesireKey& key);
  size_t RefillsAt(const PlaceId& place) const;
  void ReleaseUnneeded();
  void ReleaseRow(Row& row, ReleaseReason why, RequestId request = RequestId());
  void StartFills();
  bool CanStart(const Row& row) const;

  // residency_forms.cc
  void ConsiderForms();
  void Compress(const Row& raw);
  void StopCompressing(const PlaceId& place);

  void Settle();
  void Changed() { changed_ = true; }

  State state_;
  Time now_{};
  Commands out_;                      // of this Apply()
  bool changed_ = false;              // in this round of Settle()
  std::set<PlaceId> short_of_room_;   // in this round: a demand waits for room there
  std::vector<Dismissal> dismissed_;  // by this event
};

// "sdxl/unet": of a part, for people.
std::string LabelOf(const ModelSnapshot& snapshot, const ModelPart& part);

}  // namespace warmset::place

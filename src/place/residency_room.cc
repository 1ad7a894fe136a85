// Who gets memory, and who gives it up.
#include <algorithm>
#include <utility>

#include "base/units.h"
#include "fmt/format.h"
#include "place/residency.h"
#include "place/retention.h"

namespace warmset::place {
namespace {

// Of what was lost: each of them needs its source in RAM meanwhile.
constexpr size_t kRefillsAtOnce = 2;

Status NoRoom(const PlaceId& place, ByteCount needed, ByteCount available, ByteCount limit) {
  const auto sizes = FormatSizes({needed, available, limit});
  if (place == Ram()) {
    return Error(ErrorCode::kRamLimitExceeded,
                 fmt::format("{} of RAM are needed, {} of the limit of {} can be had; raise the "
                             "RAM limit or end what holds memory",
                             sizes[0], sizes[1], sizes[2]));
  }
  return Error(ErrorCode::kInsufficientDeviceMemory,
               fmt::format("{} of {} are needed, {} of its {} can be had; unload something",
                           sizes[0], place.value(), sizes[1], sizes[2]));
}

}  // namespace

// --- a limit that was lowered ---

void Residency::ShrinkPlaces() {
  for (const auto& [id, place] : state_.places) {
    if (!IsOver(state_, id)) continue;
    StopCompressing(id);
    while (IsOver(state_, id)) {
      const auto step = NextEviction(state_, id, {});
      if (!step) break;
      Evict(*step, id, RequestId());
    }
    if (IsOver(state_, id)) RevokePromises(id);
  }
}

// Those who were promised memory that they have not got yet are admitted anew.
void Residency::RevokePromises(const PlaceId& place) {
  std::vector<PlacementId> waiting;
  for (const auto& [id, row] : state_.rows.all()) {
    const bool takes = row.place == place && row.bytes > ByteCount();
    if (takes && row.state == RowState::kWaiting) waiting.push_back(id);
  }
  for (const PlacementId id : waiting) {
    if (state_.rows.Find(id) != nullptr) Revoke(id);
  }
  if (!waiting.empty()) AdmitDemands();
}

// REQUIRES: the row waits.
void Residency::Revoke(PlacementId waiting) {
  std::vector<PlacementId> filled_from_it;
  for (const auto& [id, row] : state_.rows.all()) {
    if (row.source == waiting) filled_from_it.push_back(id);
  }
  for (const PlacementId id : filled_from_it) Revoke(id);
  for (Demand& demand : state_.demands) {
    const auto& rows = demand.rows;
    if (std::find(rows.begin(), rows.end(), waiting) != rows.end()) Unbind(demand);
  }
  state_.rows.Erase(waiting);
  Changed();
}

// --- demands ---

// Each demand gets all the memory that it needs or none, in the order of arrival; preloads
// come after the others.
void Residency::AdmitDemands() {
  AdmitDemands(/*preloads=*/false);
  AdmitDemands(/*preloads=*/true);
}

void Residency::AdmitDemands(bool preloads) {
  for (auto it = state_.demands.begin(); it != state_.demands.end();) {
    const auto demand = it++;
    const Demanded& what = demand->what;
    if (demand->admitted() || (what.reason == Reason::kPreload) != preloads) continue;
    const Place& place = state_.places.at(what.place);
    if (place.state == Place::State::kFailed) {
      FailDemand(demand, place.why);
      continue;
    }
    if (place.state == Place::State::kStarting) continue;
    if (const Status missing = MissingTarget(what); !missing.ok()) {
      FailDemand(demand, missing);
      continue;
    }
    Admission admission =
        Admit({what.snapshot, what.parts, what.place, what.form}, what.may_evict, what.request);
    switch (admission.verdict) {
      case Admission::Verdict::kAdmitted:
        Bind(*demand, std::move(admission.targets));
        break;
      case Admission::Verdict::kWaits:
        short_of_room_.insert(admission.needed.begin(), admission.needed.end());
        StopCompressing(admission.place);
        break;
      case Admission::Verdict::kRefused:
        FailDemand(demand, admission.why, std::move(admission.blockers));
        break;
    }
  }
}

// What must be there may be on its way back.
Status Residency::MissingTarget(const Demanded& demand) const {
  if (!demand.must_be_there) return OkStatus();
  for (const uint32_t index : demand.parts) {
    const ModelPart& part = demand.snapshot->components[index];
    const auto content = state_.contents.Find(part.id);
    const bool there =
        content && (state_.rows.FindVisible(*content, demand.place, demand.form) != nullptr ||
                    !DesiresFor(state_, *content, demand.place, demand.form).empty());
    if (there) continue;
    return Error(ErrorCode::kNotLoaded,
                 fmt::format("{} is not at {}; `warmset load` brings it there",
                             LabelOf(*demand.snapshot, part), demand.place.value()));
  }
  return OkStatus();
}

Residency::Admission Residency::Admit(const Wanted& wanted, bool may_evict, RequestId request) {
  Admission admission = Admit(MakeDraft(state_, wanted, /*from_files=*/false), may_evict, request);
  if (admission.verdict != Admission::Verdict::kRefused) return admission;
  Admission other = Admit(MakeDraft(state_, wanted, /*from_files=*/true), may_evict, request);
  return other.verdict == Admission::Verdict::kRefused ? std::move(admission) : std::move(other);
}

// All or nothing: what can't fit as a whole evicts nothing.
Residency::Admission Residency::Admit(const Draft& draft, bool may_evict, RequestId request) {
  using Verdict = Admission::Verdict;
  const auto needed = draft.bytes();
  Admission admission;
  for (const auto& [place, bytes] : needed) {
    admission.needed.push_back(place);
    if (!short_of_room_.contains(place)) continue;
    admission.verdict = Verdict::kWaits;  // its turn comes
    admission.place = place;
    admission.why =
        Error(ErrorCode::kRamLimitExceeded, "requests before it wait for the room that it needs");
  }
  if (admission.verdict == Verdict::kWaits) return admission;
  for (const auto& [place, bytes] : needed) {
    const Room room = RoomAt(state_, place, draft.uses);
    if (bytes == ByteCount() || room.Fits(bytes)) continue;
    const bool impossible = !room.FitsEver(bytes) || !may_evict;
    if (!impossible && room.FitsNow(bytes)) continue;
    admission.verdict = impossible ? Verdict::kRefused : Verdict::kWaits;
    admission.why = NoRoom(place, bytes, room.reachable(), room.limit);
    admission.place = place;
    admission.blockers = Blockers(state_, place, draft.uses);
    if (impossible) return admission;
  }
  if (admission.verdict == Verdict::kWaits) return admission;

  for (const auto& [place, bytes] : needed) {
    while (bytes > ByteCount() && !RoomAt(state_, place, draft.uses).Fits(bytes)) {
      const auto step = NextEviction(state_, place, draft.uses);
      if (!step) break;  // can't be: it fits
      Evict(*step, place, request);
    }
  }
  admission.targets = Make(state_, draft, request);
  Changed();
  return admission;
}

// Desires end with an eviction, unless a leased row still has the bytes.
void Residency::Evict(const EvictionStep& step, const PlaceId& place, RequestId request) {
  const ContentId content = state_.rows.Find(step.rows.front())->content;
  for (const PlacementId id : step.rows) {
    ReleaseRow(*state_.rows.Find(id), ReleaseReason::kEvicted, request);
  }
  if (!step.whole) return;
  ReinstateSuperseded();
  for (const DesireKey& key : DesiresAt(state_, content, place)) {
    const Desire& desire = *state_.desires.Find(key);
    if (!IsSatisfied(state_, key, desire, /*or_coming=*/false)) state_.desires.Erase(key);
  }
}

// --- desires without a row ---

void Residency::Refill() {
  std::vector<DesireKey> missing;
  for (auto& [key, desire] : state_.desires.all()) {
    if (IsSatisfied(state_, key, desire, /*or_coming=*/false)) {
      desire.why = OkStatus();
      desire.failures = 0;
      desire.retry_at.reset();
    } else if (!IsSatisfied(state_, key, desire, /*or_coming=*/true)) {
      missing.push_back(key);
    }
  }
  for (const DesireKey& key : missing) Refill(key);
}

void Residency::Refill(const DesireKey& key) {
  Desire* desire = state_.desires.Find(key);
  if (desire == nullptr || (desire->retry_at && *desire->retry_at > now_)) return;
  const ModelTable::Known* const model = state_.models.Find(key.model);
  const auto place = state_.places.find(key.place);
  if (!desire->component || model == nullptr) {
    desire->why = Error(ErrorCode::kFileNotFound, "the model's files are away");
    return;
  }
  if (place == state_.places.end()) {
    desire->why = Error(ErrorCode::kDeviceNotFound,
                        fmt::format("there is no device '{}'", key.place.value()));
    return;
  }
  if (place->second.state != Place::State::kUp) {
    desire->why = place->second.why;
    return;
  }
  const ModelSnapshot& snapshot = *model->snapshot;
  const auto& parts = key.form == Form::kNamed ? snapshot.files : snapshot.components;
  const ModelPart* const part = FindPart(parts, key.part);
  if (part == nullptr || RefillsAt(key.place) >= kRefillsAtOnce) return;
  const bool may_evict = RetentionOf(state_, key, *desire) == Retention::kKept;
  const Admission admission = Admit(
      Wanted{model->snapshot, {static_cast<uint32_t>(part - parts.data())}, key.place, key.form},
      may_evict, RequestId());
  desire = state_.desires.Find(key);  // what was evicted is no longer desired
  if (desire != nullptr) desire->why = admission.why;
}

size_t Residency::RefillsAt(const PlaceId& place) const {
  return static_cast<size_t>(
      std::count_if(state_.rows.all().begin(), state_.rows.all().end(), [&](const auto& each) {
        const Row& row = each.second;
        return row.place == place && row.demands == 0 && row.form != Form::kCompressed &&
               (row.state == RowState::kWaiting || row.state == RowState::kFilling);
      }));
}

// --- what nothing needs ---

void Residency::ReleaseUnneeded() {
  std::vector<PlacementId> unneeded;
  for (const auto& [id, row] : state_.rows.all()) {
    if (row.state == RowState::kReleasing || row.held() || IsDesired(state_, row)) continue;
    unneeded.push_back(id);
  }
  for (const PlacementId id : unneeded) {
    Row& row = *state_.rows.Find(id);
    ReleaseRow(row, row.visible ? ReleaseReason::kUnwanted : row.hidden_why);
  }
}

// REQUIRES: nothing holds the row.
void Residency::ReleaseRow(Row& row, ReleaseReason why, RequestId request) {
  Changed();
  state_.rows.Hide(row, why);
  if (row.state == RowState::kWaiting) return state_.rows.Erase(row.id);
  // A fill may read its source until it has stopped: that is held until then.
  state_.rows.SetState(row, RowState::kReleasing);
  out_.push_back(Release{.placement = row.id, .place = row.place, .why = why, .request = request});
}

// --- fills ---

bool Residency::CanStart(const Row& row) const {
  const Place& place = state_.places.at(row.place);
  if (row.state != RowState::kWaiting || place.state != Place::State::kUp) return false;
  if (row.source && state_.rows.Find(*row.source)->state != RowState::kReady) return false;
  const bool fits =
      row.bytes == ByteCount() || TakenAt(state_, row.place) + row.bytes <= place.limit;
  if (!fits || row.form == Form::kCompressed) return fits;  // one at a time, behind the others
  const auto fills =
      std::count_if(state_.rows.all().begin(), state_.rows.all().end(), [&row](const auto& each) {
        const Row& other = each.second;
        return other.place == row.place && other.state == RowState::kFilling &&
               other.form != Form::kCompressed;
      });
  return static_cast<size_t>(fills) < place.fills_at_once;
}

// Rows that clients wait for come first, and their sources.
void Residency::StartFills() {
  std::vector<PlacementId> waiting;
  for (const auto& [id, row] : state_.rows.all()) {
    if (row.state == RowState::kWaiting) waiting.push_back(id);
  }
  std::stable_partition(waiting.begin(), waiting.end(), [this](PlacementId id) {
    return state_.rows.Find(id)->request != RequestId();
  });
  for (const PlacementId id : waiting) {
    Row& row = *state_.rows.Find(id);
    if (!CanStart(row)) continue;
    state_.rows.SetState(row, RowState::kFilling);
    out_.push_back(Fill{.placement = id,
                        .snapshot = row.snapshot,
                        .part = row.part,
                        .place = row.place,
                        .form = row.form,
                        .bytes = row.bytes,
                        .source = row.source,
                        .request = row.request});
  }
}

}  // namespace warmset::place

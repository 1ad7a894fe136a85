// What tiers report: fills, releases, comparisons, and places that come and go.
#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "place/residency.h"
#include "place/retention.h"

namespace warmset::place {
namespace {

// Fills of one desire that fail one after another, until it is given up.
constexpr int kMaxFailures = 3;
constexpr std::chrono::seconds kFirstRetry{5};  // doubles

// The cause may be gone by itself.
bool IsPassing(const Status& status) {
  const ErrorCode code = CodeOf(status);
  return code == ErrorCode::kTimeout || code == ErrorCode::kDeviceUnavailable ||
         code == ErrorCode::kIoError || code == ErrorCode::kRamLimitExceeded ||
         code == ErrorCode::kInsufficientDeviceMemory;
}

// Of what it takes raw, a compressed form may take no more.
ByteCount MostCompressed(ByteCount raw) { return ByteCount(raw.value() - raw.value() / 20); }

}  // namespace

// A fill that was released meanwhile may still report: that counts no more.
Row* Residency::Filling(PlacementId id) {
  Row* const row = state_.rows.Find(id);
  return row != nullptr && row->state == RowState::kFilling ? row : nullptr;
}

void Residency::On(const FillProgressed& event) {
  Row* const row = Filling(event.placement);
  if (row == nullptr) return;
  if (!std::exchange(row->can_be_exported, true)) Changed();
  row->filled = std::max(row->filled, event.filled);
}

void Residency::On(const Filled& event) {
  Row* const row = Filling(event.placement);
  if (row == nullptr) return;
  state_.rows.SetState(*row, RowState::kReady);
  row->can_be_exported = true;
  row->bytes = event.bytes;
  row->filled = event.bytes;
  if (row->source) {
    row->digest = state_.rows.Find(*row->source)->digest;
  } else {
    row->digest = event.content;
    row->reload_seconds = event.seconds;
  }
  const bool is_new_content = !row->source && event.content;
  if (row->form != Form::kShared) state_.rows.DropSource(*row);
  ReinstateSuperseded();
  if (!row->visible) return;
  if (row->form == Form::kCompressed) {
    state_.contents.Get(row->content)->compressed_bytes = event.bytes;
  }
  SupersedeRaw(row->content, row->place);
  if (is_new_content) LookForTwin(*row);
}

// A named placement serves those who want a raw one, too.
void Residency::SupersedeRaw(ContentId content, const PlaceId& place) {
  const Row* const named = state_.rows.FindVisible(content, place, Form::kNamed);
  Row* const raw = state_.rows.FindVisible(content, place, Form::kRaw);
  if (named == nullptr || named->state != RowState::kReady || raw == nullptr) return;
  state_.rows.Hide(*raw, ReleaseReason::kSuperseded);
}

// What superseded a row may leave before it, or be overtaken.
void Residency::ReinstateSuperseded() {
  for (auto& [id, row] : state_.rows.all()) {
    if (state_.contents.Get(row.content) != nullptr && state_.rows.Reinstate(row)) Changed();
  }
}

// --- equal content ---

void Residency::LookForTwin(Row& row) {
  for (auto& [id, other] : state_.rows.all()) {
    if (other.content == row.content || other.place != row.place || !other.visible ||
        other.state != RowState::kReady || other.digest != row.digest) {
      continue;
    }
    ++row.readers;
    ++other.readers;
    state_.comparisons.emplace(row.id, id);
    out_.push_back(Compare{row.id, id});
    return;
  }
}

void Residency::On(const Compared& event) {
  if (state_.comparisons.erase({event.placement, event.with}) == 0) return;
  Row& row = *state_.rows.Find(event.placement);
  Row& with = *state_.rows.Find(event.with);
  --row.readers;
  --with.readers;
  if (!event.equal || row.content == with.content) return;
  // A file that was replaced meanwhile has no content any more.
  const bool known =
      state_.contents.Get(row.content) != nullptr && state_.contents.Get(with.content) != nullptr;
  if (!known) return;
  const ContentId from = row.content;
  const ContentId into = with.content;
  state_.contents.Merge(into, from);
  state_.rows.Merge(into, from);
  SupersedeRaw(into, Ram());
}

// --- failures ---

void Residency::On(const FillFailed& event) {
  Row* const row = Filling(event.placement);
  if (row == nullptr) return;
  if (row->form == Form::kCompressed) {
    NoteIncompressible(*row, event);
    return FailRow(*row, event.why);
  }
  const Row* const source = row->source ? state_.rows.Find(*row->source) : nullptr;
  const bool damaged = source != nullptr && source->form == Form::kCompressed &&
                       CodeOf(event.why) == ErrorCode::kCorruptedModel;
  if (damaged) return DropDamaged(*row);
  FailRow(*row, event.why);
}

// Clients and desires that wait for the row learn of the failure; what it was filled with
// leaves when no lease holds it.
void Residency::FailRow(Row& row, const Status& why) {
  const bool was_visible = row.visible;
  state_.rows.Hide(row, ReleaseReason::kFailed);
  if (was_visible && row.form != Form::kCompressed) {
    for (const DesireKey& key : DesiresFor(state_, row.content, row.place, row.form)) {
      NoteFailure(key, why);
    }
  }
  FailDemandsFor(row.id, why);
  std::vector<PlacementId> filled_from_it;
  for (const auto& [id, other] : state_.rows.all()) {
    if (other.source == row.id && other.state == RowState::kWaiting) filled_from_it.push_back(id);
  }
  for (const PlacementId id : filled_from_it) FailRow(*state_.rows.Find(id), why);
  if (row.state == RowState::kWaiting) {
    state_.rows.Erase(row.id);
  } else {
    state_.rows.SetState(row, RowState::kSpoiled);
    state_.rows.DropSource(row);
  }
  Changed();
}

void Residency::NoteFailure(const DesireKey& key, const Status& why) {
  Desire& desire = *state_.desires.Find(key);
  if (IsSatisfied(state_, key, desire, /*or_coming=*/false)) return;  // by another form
  ++desire.failures;
  const bool again = IsPassing(why) && desire.failures < kMaxFailures;
  if (!again && RetentionOf(state_, key, desire) != Retention::kKept) {
    return state_.desires.Erase(key);
  }
  desire.why = why;
  desire.retry_at = again ? now_ + kFirstRetry * (1 << (desire.failures - 1)) : Time::max();
}

void Residency::NoteIncompressible(const Row& row, const FillFailed& event) {
  ContentTable::Content* const content = state_.contents.Get(row.content);
  if (content == nullptr) return;
  const ByteCount most = MostCompressed(row.model_part().bytes);
  if (event.needs && *event.needs <= most && *event.needs > row.bytes) {
    content->compressed_bytes = event.needs;  // another try with a larger plan
  } else {
    content->incompressible = true;
  }
}

// The compressed form that the row was decoded from is damaged: it leaves, and those who wait
// are admitted anew, with the files as the source.
void Residency::DropDamaged(Row& row) {
  state_.rows.Hide(*state_.rows.Find(*row.source), ReleaseReason::kFailed);
  state_.rows.Hide(row, ReleaseReason::kFailed);
  state_.rows.SetState(row, RowState::kSpoiled);
  state_.rows.DropSource(row);
  std::vector<PlacementId> filled_from_it;
  for (const auto& [id, other] : state_.rows.all()) {
    if (other.source == row.id && other.state == RowState::kWaiting) filled_from_it.push_back(id);
  }
  for (const PlacementId id : filled_from_it) Revoke(id);
  for (Demand& demand : state_.demands) {
    const bool waits =
        std::find(demand.rows.begin(), demand.rows.end(), row.id) != demand.rows.end();
    if (waits) Unbind(demand);
  }
  // At once, so that what else these demands wait for does not look unwanted.
  AdmitDemands();
}

// --- releases, places ---

void Residency::On(const Released& event) {
  Row* const row = state_.rows.Find(event.placement);
  if (row != nullptr && row->state == RowState::kReleasing) return Gone(*row);
  for (auto& [id, place] : state_.places) place.strays.erase(event.placement);
}

void Residency::Gone(Row& row) {
  state_.rows.DropSource(row);
  state_.rows.Erase(row.id);
  Changed();
}

// The place no longer has it.
void Residency::Lose(Row& row, const Status& why) {
  if (row.state == RowState::kFilling) FailRow(row, why);
  state_.rows.Hide(row, ReleaseReason::kFailed);
  FailDemandsFor(row.id, why);
  // What clients have mapped stays theirs, and counts until they leave.
  if (row.leases == 0) Gone(row);
}

void Residency::On(const Observed& event) {
  const auto found = state_.places.find(event.place);
  if (found == state_.places.end() || found->second.state != Place::State::kUp) return;
  Place& place = found->second;
  std::vector<PlacementId> lost;
  for (const auto& [id, row] : state_.rows.all()) {
    const bool has = event.there.contains(id);
    if (row.place == event.place && row.state == RowState::kReady && !has) lost.push_back(id);
  }
  const Status why =
      Error(ErrorCode::kDeviceUnavailable, fmt::format("{} has lost it", event.place.value()));
  for (const PlacementId id : lost) Lose(*state_.rows.Find(id), why);
  std::erase_if(place.strays, [&](const auto& each) { return !event.there.contains(each.first); });
  for (const auto& [id, bytes] : event.there) {
    if (state_.rows.Find(id) != nullptr || !place.strays.emplace(id, bytes).second) continue;
    out_.push_back(Release{.placement = id, .place = event.place, .why = ReleaseReason::kStray});
  }
}

void Residency::On(const PlaceUp& event) {
  Place& place = state_.places.at(event.place);
  place.state = Place::State::kUp;
  place.why = OkStatus();
}

void Residency::On(const PlaceDown& event) {
  Place& place = state_.places.at(event.place);
  place.state = event.for_good ? Place::State::kFailed : Place::State::kStarting;
  place.why = event.why;
  place.strays.clear();
  std::vector<PlacementId> there;
  for (const auto& [id, row] : state_.rows.all()) {
    if (row.place == event.place) there.push_back(id);
  }
  for (const PlacementId id : there) {
    Row* const row = state_.rows.Find(id);
    if (row == nullptr) continue;
    if (row->state != RowState::kWaiting) {
      Lose(*row, event.why);
    } else if (event.for_good) {
      FailRow(*row, event.why);
    }
  }
}

void Residency::On(const LimitChanged& event) {
  Place& place = state_.places.at(event.place);
  place.limit = event.limit;
  place.outside = event.outside;
}

}  // namespace warmset::place

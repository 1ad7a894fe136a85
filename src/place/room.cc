#include "place/room.h"

#include <algorithm>
#include <map>

#include "place/retention.h"

namespace warmset::place {
namespace {

// The visible rows of one content at one place, and what of them may leave.
struct Group {
  ContentId content;
  std::vector<const Row*> rows;
  Retention retention = Retention::kGone;

  const Row* Of(Form form) const {
    for (const Row* row : rows) {
      if (row->form == form) return row;
    }
    return nullptr;
  }
  ByteCount bytes() const {
    ByteCount sum;
    for (const Row* row : rows) sum += row->bytes;
    return sum;
  }
  const Row* uncompressed() const {
    const Row* const named = Of(Form::kNamed);
    return named != nullptr ? named : Of(Form::kRaw);
  }
};

// Which rows may leave for others: now, or once all that is under way has ended.
class Leavers {
 public:
  enum class When { kNow, kLater };
  Leavers(const Uses& uses, When when) : uses_(uses), when_(when) {}

  bool MayLeave(const Row& row) const {
    if (uses_.contains(row.id) || row.leases + row.dependants > 0) return false;
    return when_ == When::kLater || (row.state == RowState::kReady && !row.held());
  }
  bool WholeMayLeave(const Group& group) const {
    return group.retention != Retention::kKept &&
           std::all_of(group.rows.begin(), group.rows.end(),
                       [this](const Row* row) { return MayLeave(*row); });
  }
  // The raw form of a component that has a compressed one; nullptr unless it may leave.
  const Row* SpareRaw(const Group& group) const {
    return Spare(group.Of(Form::kRaw), group.Of(Form::kCompressed));
  }
  // The compressed form of a component that has a raw one; likewise.
  const Row* SpareCompressed(const Group& group) const {
    return Spare(group.Of(Form::kCompressed), group.uncompressed());
  }
  ByteCount BytesOf(const Group& group) const {
    if (when_ == When::kLater) return BytesLater(group);
    if (WholeMayLeave(group)) return group.bytes();
    const Row* const raw = SpareRaw(group);
    const Row* const spare = raw != nullptr ? raw : SpareCompressed(group);
    return spare == nullptr ? ByteCount() : spare->bytes;
  }

 private:
  const Row* Spare(const Row* row, const Row* other) const {
    const bool both = row != nullptr && row->state == RowState::kReady && other != nullptr &&
                      other->state == RowState::kReady;
    return both && MayLeave(*row) ? row : nullptr;
  }
  // A fill under way may fail.
  ByteCount BytesLater(const Group& group) const {
    const bool kept = group.retention == Retention::kKept;
    const Row* const raw = SpareRaw(group);
    const Row* const spare = raw != nullptr ? raw : SpareCompressed(group);
    ByteCount bytes;
    for (const Row* row : group.rows) {
      const bool must_stay = kept && row->state == RowState::kReady && row != spare;
      if (MayLeave(*row) && !must_stay) bytes += row->bytes;
    }
    return bytes;
  }

  const Uses& uses_;
  const When when_;
};

bool IsLeaving(const Row& row) {
  return row.state == RowState::kReleasing || (row.state == RowState::kSpoiled && row.leases == 0);
}

std::vector<Group> GroupsAt(const State& state, const PlaceId& place) {
  std::map<ContentId, Group> groups;
  for (const auto& [id, row] : state.rows.all()) {
    if (row.place != place || !row.visible) continue;
    Group& group = groups[row.content];
    group.content = row.content;
    group.rows.push_back(&row);
  }
  std::vector<Group> all;
  for (auto& [content, group] : groups) {
    group.retention = RetentionOf(state, content, place);
    all.push_back(std::move(group));
  }
  return all;
}

// Of those that pass, the one that the policy chooses.
template <typename Passes>
const Group* Choose(State& state, const std::vector<Group>& groups, Passes passes) {
  std::vector<const Group*> chosen;
  std::vector<Victim> victims;
  for (const Group& group : groups) {
    if (!passes(group)) continue;
    const ContentTable::Content* const content = state.contents.Get(group.content);
    Victim victim;
    if (content != nullptr) victim.component = content->components.front();
    victim.bytes = group.bytes();
    for (const Row* row : group.rows) {
      victim.reload_seconds = std::max(victim.reload_seconds, row->reload_seconds);
    }
    chosen.push_back(&group);
    victims.push_back(victim);
  }
  return chosen.empty() ? nullptr : chosen[state.policy->Choose(victims)];
}

EvictionStep Whole(const Group& group) {
  EvictionStep step{.whole = true};
  for (const Row* row : group.rows) step.rows.push_back(row->id);
  return step;
}

}  // namespace

Room RoomAt(const State& state, const PlaceId& place, const Uses& uses) {
  const Place& at = state.places.at(place);
  Room room{.limit = at.limit, .outside = at.outside, .leaving = at.stray_bytes()};
  const Leavers now(uses, Leavers::When::kNow);
  const Leavers later(uses, Leavers::When::kLater);
  for (const auto& [id, row] : state.rows.all()) {
    if (row.place != place) continue;
    (IsLeaving(row) ? room.leaving : room.promised) += row.bytes;
    // What has left the table already goes when the last who uses it is done.
    if (!row.visible && !IsLeaving(row) && later.MayLeave(row)) room.evictable_later += row.bytes;
  }
  for (const Group& group : GroupsAt(state, place)) {
    room.evictable_now += now.BytesOf(group);
    room.evictable_later += later.BytesOf(group);
  }
  return room;
}

bool IsOver(const State& state, const PlaceId& place) {
  const Place& at = state.places.at(place);
  ByteCount promised = at.outside;
  for (const auto& [id, row] : state.rows.all()) {
    if (row.place == place && !IsLeaving(row)) promised += row.bytes;
  }
  return promised > at.limit;
}

ByteCount TakenAt(const State& state, const PlaceId& place) {
  const Place& at = state.places.at(place);
  ByteCount taken = at.outside + at.stray_bytes();
  for (const auto& [id, row] : state.rows.all()) {
    if (row.place == place && row.state != RowState::kWaiting) taken += row.bytes;
  }
  return taken;
}

std::optional<EvictionStep> NextEviction(State& state, const PlaceId& place, const Uses& uses) {
  const std::vector<Group> groups = GroupsAt(state, place);
  const Leavers leavers(uses, Leavers::When::kNow);
  const auto whole_of = [&](Retention retention) {
    return [&leavers, retention](const Group& group) {
      return group.retention == retention && leavers.WholeMayLeave(group);
    };
  };
  if (const Group* gone = Choose(state, groups, whole_of(Retention::kGone))) return Whole(*gone);
  if (const Group* both = Choose(
          state, groups, [&](const Group& group) { return leavers.SpareRaw(group) != nullptr; })) {
    return EvictionStep{.rows = {leavers.SpareRaw(*both)->id}};
  }
  for (const Retention retention : {Retention::kLow, Retention::kMedium, Retention::kHigh}) {
    if (const Group* each = Choose(state, groups, whole_of(retention))) return Whole(*each);
  }
  if (const Group* both = Choose(state, groups, [&](const Group& group) {
        return leavers.SpareCompressed(group) != nullptr;
      })) {
    return EvictionStep{.rows = {leavers.SpareCompressed(*both)->id}};
  }
  return std::nullopt;
}

std::vector<PlacementId> Blockers(const State& state, const PlaceId& place, const Uses& uses) {
  std::vector<const Row*> rows;
  for (const auto& [id, row] : state.rows.all()) {
    if (row.place != place || IsLeaving(row) || uses.contains(id) || row.bytes == ByteCount()) {
      continue;
    }
    if (row.leases + row.dependants > 0 ||
        RetentionOf(state, row.content, place) == Retention::kKept) {
      rows.push_back(&row);
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row* a, const Row* b) { return a->bytes > b->bytes; });
  std::vector<PlacementId> ids;
  for (const Row* row : rows) ids.push_back(row->id);
  return ids;
}

}  // namespace warmset::place

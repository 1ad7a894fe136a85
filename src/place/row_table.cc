#include "place/row_table.h"

#include <array>
#include <utility>

namespace warmset::place {

Row& RowTable::Add(Row row) {
  row.id = PlacementId(++last_id_);
  if (row.source) ++HoldOf(row, rows_.at(*row.source));
  visible_[KeyOf(row)] = row.id;
  return rows_.emplace(row.id, std::move(row)).first->second;
}

void RowTable::Erase(PlacementId id) {
  Row& row = rows_.at(id);
  Hide(row, row.hidden_why);
  DropSource(row);
  rows_.erase(id);
}

Row* RowTable::Find(PlacementId id) {
  const auto found = rows_.find(id);
  return found == rows_.end() ? nullptr : &found->second;
}

const Row* RowTable::Find(PlacementId id) const { return const_cast<RowTable*>(this)->Find(id); }

Row* RowTable::FindVisible(ContentId content, const PlaceId& place, Form form) {
  const auto found = visible_.find({content, place, form});
  return found == visible_.end() ? nullptr : &rows_.at(found->second);
}

const Row* RowTable::FindVisible(ContentId content, const PlaceId& place, Form form) const {
  return const_cast<RowTable*>(this)->FindVisible(content, place, form);
}

Row* RowTable::FindGiving(ContentId content, const PlaceId& place, Form form) {
  Row* const exact = FindVisible(content, place, form);
  if (form != Form::kRaw || (exact != nullptr && exact->state == RowState::kReady)) return exact;
  Row* const named = FindVisible(content, place, Form::kNamed);
  return exact == nullptr || (named != nullptr && named->state == RowState::kReady) ? named : exact;
}

void RowTable::Hide(Row& row, ReleaseReason why) {
  row.hidden_why = why;
  if (std::exchange(row.visible, false)) visible_.erase(KeyOf(row));
}

bool RowTable::Reinstate(Row& row) {
  const bool is_spare =
      !row.visible && row.hidden_why == ReleaseReason::kSuperseded && row.state == RowState::kReady;
  if (!is_spare) return false;
  Row* const other = FindVisible(row.content, row.place, row.form);
  const Row* const named = FindVisible(row.content, row.place, Form::kNamed);
  const bool serves =
      row.form == Form::kRaw && named != nullptr && named->state == RowState::kReady;
  if (serves || (other != nullptr && other->state == RowState::kReady)) return false;
  if (other != nullptr) Hide(*other, ReleaseReason::kSuperseded);
  row.visible = true;
  visible_[KeyOf(row)] = row.id;
  return true;
}

uint32_t& RowTable::HoldOf(const Row& row, Row& source) {
  const bool depends = row.form == Form::kShared && row.state == RowState::kReady;
  return depends ? source.dependants : source.readers;
}

void RowTable::SetState(Row& row, RowState state) {
  Row* const source = row.source ? &rows_.at(*row.source) : nullptr;
  if (source != nullptr) --HoldOf(row, *source);
  row.state = state;
  if (source != nullptr) ++HoldOf(row, *source);
}

void RowTable::DropSource(Row& row) {
  if (!row.source) return;
  --HoldOf(row, rows_.at(*row.source));
  row.source.reset();
}

void RowTable::Merge(ContentId into, ContentId from) {
  std::vector<Row*> moved;
  for (auto found = visible_.lower_bound({from, PlaceId(), Form::kRaw});
       found != visible_.end() && std::get<ContentId>(found->first) == from; ++found) {
    moved.push_back(&rows_.at(found->second));
  }
  for (Row* const row : moved) {
    visible_.erase(KeyOf(*row));
    row->content = into;
    Row* const other = FindVisible(into, row->place, row->form);
    // A leased row keeps its memory in any case.
    const auto rank = [](const Row& each) {
      return std::tuple(each.state == RowState::kReady, each.leases + each.dependants > 0);
    };
    const bool wins = other == nullptr || rank(*row) > rank(*other) ||
                      (rank(*row) == rank(*other) && row->id < other->id);
    if (wins && other != nullptr) Hide(*other, ReleaseReason::kSuperseded);
    if (wins) {
      visible_[KeyOf(*row)] = row->id;
    } else {
      row->visible = false;
      row->hidden_why = ReleaseReason::kSuperseded;
    }
  }
  for (auto& [id, row] : rows_) {
    if (row.content == from) row.content = into;
  }
}

}  // namespace warmset::place

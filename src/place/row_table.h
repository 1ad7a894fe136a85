// All rows, found by id, and the visible ones by what they hold.
#pragma once

#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "place/row.h"

namespace warmset::place {

// Counts who holds a row as far as rows hold each other: the source of each is held until it
// is no longer needed. A value; not thread-safe. Pointers to rows stay valid until Erase().
class RowTable {
 public:
  // Gives the row its id, and holds its source. REQUIRES: no visible row has its content,
  // place and form.
  Row& Add(Row row);
  // REQUIRES: nothing holds it.
  void Erase(PlacementId id);

  Row* Find(PlacementId id);
  const Row* Find(PlacementId id) const;
  // The visible row with exactly that form; nullptr when there is none.
  Row* FindVisible(ContentId content, const PlaceId& place, Form form);
  const Row* FindVisible(ContentId content, const PlaceId& place, Form form) const;
  // A visible row that gives clients that form; a ready one before others.
  Row* FindGiving(ContentId content, const PlaceId& place, Form form);

  // Only a kShared row that is ready depends on its source; others read it for a while.
  void SetState(Row& row, RowState state);
  // No demand finds it from here on; of a hidden row, another reason for that.
  void Hide(Row& row, ReleaseReason why);
  // A row that was superseded becomes visible again where the other left, or is not ready yet.
  // False, and nothing happens, where that does not hold.
  bool Reinstate(Row& row);
  // The row no longer needs its source.
  void DropSource(Row& row);
  // Visible rows of `from` become rows of `into`. Of two with equal place and form one stays
  // visible: a ready one, else a leased one, else the older one.
  void Merge(ContentId into, ContentId from);

  std::map<PlacementId, Row>& all() { return rows_; }
  const std::map<PlacementId, Row>& all() const { return rows_; }

 private:
  using Key = std::tuple<ContentId, PlaceId, Form>;
  static Key KeyOf(const Row& row) { return {row.content, row.place, row.form}; }
  // The count of its source's that stands for it.
  static uint32_t& HoldOf(const Row& row, Row& source);

  std::map<PlacementId, Row> rows_;
  std::map<Key, PlacementId> visible_;
  uint64_t last_id_ = 0;
};

}  // namespace warmset::place

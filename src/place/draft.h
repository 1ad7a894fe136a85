// Which rows a demand needs: those that are there, and those that would have to be made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <variant>
#include <vector>

#include "base/strong.h"
#include "place/room.h"
#include "place/state.h"

namespace warmset::place {

struct Draft {
  // A row that is there, or one of `rows`, by index.
  using Ref = std::variant<PlacementId, size_t>;
  struct NewRow {
    Row row;
    std::optional<Ref> source{};  // nothing: the part's files
  };

  std::vector<NewRow> rows{};  // sources before those that are filled from them
  std::vector<Ref> targets{};  // by part
  Uses uses;                   // rows that are there and needed

  std::map<PlaceId, ByteCount> bytes() const;  // of the new rows
};

// What is wanted: parts of a snapshot at a place, in a form that clients get.
// REQUIRES: the parts exist.
struct Wanted {
  SharedSnapshot snapshot;
  std::vector<uint32_t> parts;
  PlaceId place;
  Form form = Form::kRaw;
};

// A row for a device is filled from RAM, so it may need one there, too. A row in RAM is made
// from another form if that is there: both then stay until it is. Not with `from_files`: that
// takes longer and less room.
Draft MakeDraft(State& state, const Wanted& wanted, bool from_files);

// Makes the rows: their memory is promised from here on. Returns the targets, by part.
std::vector<PlacementId> Make(State& state, const Draft& draft, RequestId request);

}  // namespace warmset::place

// The rows that a demand needs: existing ones, and new ones.
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
  // An existing row, or one of `rows`, by index.
  using Ref = std::variant<PlacementId, size_t>;
  struct NewRow {
    Row row;
    std::optional<Ref> source{};  // nothing: the part's files
  };

  std::vector<NewRow> rows{};  // sources before those that are filled from them
  std::vector<Ref> targets{};  // by part
  Uses uses;                   // existing rows that are needed

  std::map<PlaceId, ByteCount> bytes() const;  // of the new rows
};

// Parts of a snapshot at a place, in a form that clients get.
// REQUIRES: the parts exist.
struct Wanted {
  SharedSnapshot snapshot;
  std::vector<uint32_t> parts;
  PlaceId place;
  Form form = Form::kRaw;
};

// A row on a device is filled from RAM, so the draft may have a row in RAM, too. A row in RAM
// is made from another form of the component where RAM has one; then both forms stay until the
// new row is ready. With `from_files` it is read from the files: slower, and in less room.
Draft MakeDraft(State& state, const Wanted& wanted, bool from_files);

// Makes the rows: their memory is promised from here on. Returns the targets, by part.
std::vector<PlacementId> Make(State& state, const Draft& draft, RequestId request);

}  // namespace warmset::place

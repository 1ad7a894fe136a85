// One row of the residency table: a component's bytes at one place in one form.
#pragma once

#include <cstdint>
#include <optional>

#include "base/digest.h"
#include "base/strong.h"
#include "model/form.h"
#include "model/ids.h"
#include "model/model_snapshot.h"
#include "place/command.h"

namespace warmset::place {

// Names bytes, however many components have them: see ContentTable.
using ContentId = Strong<struct ContentIdTag, uint64_t>;

enum class RowState : uint8_t {
  kWaiting,    // its bytes are promised; it waits for memory, a source or its turn
  kFilling,    // a tier fills it
  kReady,      // it has all bytes
  kSpoiled,    // its fill has failed; leases may still hold its memory
  kReleasing,  // its memory is being given back
};

struct Row {
  PlacementId id{};
  ContentId content{};
  PlaceId place{};
  Form form = Form::kRaw;
  RowState state = RowState::kWaiting;

  // What it is filled from: the part's files, unless it has a source.
  SharedSnapshot snapshot{};
  uint32_t part = 0;
  std::optional<PlacementId> source{};  // kShared keeps it; others until they are ready
  RequestId request{};                  // for which it was begun

  // Demands and sources are looked for among visible rows alone. A hidden one stays only for
  // those who use it already.
  bool visible = true;
  ReleaseReason hidden_why = ReleaseReason::kUnwanted;

  ByteCount bytes{};  // planned; from kReady on measured
  ByteCount filled{};
  bool can_be_exported = false;
  double reload_seconds = 0;
  std::optional<ContentDigest> digest{};  // of what was read from disk

  // Who holds it.
  uint32_t leases = 0;
  uint32_t demands = 0;     // that wait for it
  uint32_t readers = 0;     // rows that are filled from it, and comparisons
  uint32_t dependants = 0;  // kShared rows that are ready and use its pages

  bool held() const { return leases + demands + readers + dependants > 0; }
  const ModelPart& model_part() const {
    return form == Form::kNamed ? snapshot->files[part] : snapshot->components[part];
  }
};

// Whether clients that want one form can be given another.
constexpr bool Gives(Form have, Form want) {
  return have == want || (want == Form::kRaw && have == Form::kNamed);
}
// Whether a desire for one form is satisfied by another.
constexpr bool Satisfies(Form have, Form want) {
  return Gives(have, want) || (want == Form::kRaw && have == Form::kCompressed);
}

}  // namespace warmset::place

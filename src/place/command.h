// The outputs of the residency machine: commands, to be carried out in order.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "base/strong.h"
#include "model/form.h"
#include "model/ids.h"
#include "model/model_snapshot.h"
#include "place/desire.h"

namespace warmset::place {

// Take `bytes` at the place and fill them: from another placement, else from the files of
// the snapshot. A fill from a placement of another form converts. Answered with Filled or
// FillFailed, before that any number of FillProgressed.
struct Fill {
  PlacementId placement{};
  SharedSnapshot snapshot{};
  uint32_t part = 0;  // of the snapshot's components; of its files for kNamed
  PlaceId place{};
  Form form = Form::kRaw;
  ByteCount bytes{};
  std::optional<PlacementId> source{};
  RequestId request{};  // that it was begun for; 0: for a desire or a strategy
};

enum class ReleaseReason : uint8_t {
  kUnwanted,    // nothing wants it
  kEvicted,     // others need the room
  kSuperseded,  // another placement has the same bytes
  kFailed,      // its fill has failed
  kStray,       // the place has it, the machine does not know it
};
inline constexpr std::array<std::string_view, 5> kReleaseReasonNames = {
    "unwanted", "evicted", "superseded", "failed", "stray"};

// Give the memory back; a fill that runs is stopped. Answered with Released, however often
// it is commanded. Never commanded while a lease or a fill uses the placement.
struct Release {
  PlacementId placement{};
  PlaceId place{};
  ReleaseReason why = ReleaseReason::kUnwanted;
  RequestId request{};  // of kEvicted: that needs the room; 0: a limit or a desire
};

// Do both have the same bytes? Answered with Compared. Both stay until then.
struct Compare {
  PlacementId placement{};
  PlacementId with{};
};

// Write these rows of the desired table; nothing as reason: remove the row. Answered with
// Persisted; the next ones come after that.
struct Persist {
  uint64_t sequence = 0;
  std::vector<std::pair<DesireKey, std::optional<Reason>>> rows{};
};

// The one answer to a request.
struct Answer {
  struct Part {
    PlacementId placement{};
    std::optional<LeaseId> lease{};
    bool filled = true;  // else its mark still grows
  };
  RequestId request{};
  Status status{};
  std::vector<Part> parts{};            // of a demand, in its order; empty after a failure
  std::vector<PlacementId> blockers{};  // what holds the room that was lacking, largest first
  ByteCount freed{};                    // by what was dismissed
  std::vector<PlacementId> stays{};     // what was dismissed and others still use
};

using Command = std::variant<Fill, Release, Compare, Persist, Answer>;
using Commands = std::vector<Command>;

}  // namespace warmset::place

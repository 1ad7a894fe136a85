// The inputs of the residency machine: events.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
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

// --- from clients ---

// A request wants parts of a model at a place. It is answered exactly once, with Answer.
struct Demanded {
  RequestId request{};
  SessionId session{};
  SharedSnapshot snapshot{};      // kFileChanged unless it is the model's current revision
  std::vector<uint32_t> parts{};  // of the snapshot's components; of its files for kNamed
  PlaceId place{};
  Form form = Form::kRaw;
  // Why the parts are wanted from the answer on; nothing: only until the leases end.
  std::optional<Reason> reason = Reason::kCache;
  bool lease = false;          // each part is leased to the session
  bool while_filling = false;  // answered as soon as every part can be exported
  bool may_evict = true;       // other components, to make room
  bool must_be_there = false;  // kNotLoaded where a part is not there or on its way
  bool counts = true;          // as a use, for the policy
};

// The client no longer awaits the answer: the request ends with kCancelled.
struct Withdrawn {
  RequestId request{};
};

// A model is no longer wanted at a place: uncache (RAM), unload (a device). Answered once,
// when the memory that this frees is free.
struct Dismissed {
  RequestId request{};
  ModelId model{};
  std::vector<std::string> parts{};  // names; empty: all
  std::optional<PlaceId> place{};    // nothing: every device
  std::optional<Form> form{};        // nothing: every form
};

struct LeaseEnded {
  LeaseId lease{};
};

// Ends the session's leases and withdraws its demands.
struct ClientGone {
  SessionId session{};
};

// --- from the library ---

// The model is new, has other files, or other settings.
struct ModelChanged {
  SharedSnapshot snapshot{};
};
// Its files are gone, or can't be used any more.
struct ModelGone {
  ModelId model{};
};

// --- from the tier of a place ---

// The memory of a fill can be exported, and its first `filled` bytes are verified. The mark
// never falls.
struct FillProgressed {
  PlacementId placement{};
  ByteCount filled{};
};
struct Filled {
  PlacementId placement{};
  ByteCount bytes{};  // of memory taken. REQUIRES: no more than were planned
  // Of what was filled from disk; nothing where it is another row's content.
  std::optional<ContentDigest> content{};
  double seconds = 0;  // what it took
};
// The fill has ended without a result. The memory stays until Release.
struct FillFailed {
  PlacementId placement{};
  Status why{};
  std::optional<ByteCount> needs{};  // of a compression that did not fit into its plan
};
// The memory is free.
struct Released {
  PlacementId placement{};
};
// Two ready placements were compared byte by byte.
struct Compared {
  PlacementId placement{};
  PlacementId with{};
  bool equal = false;
};
// All that the worker of a device reports to have, as of its last message.
struct Observed {
  PlaceId place{};
  std::map<PlacementId, ByteCount> there{};
};
struct PlaceUp {
  PlaceId place{};
};
// All memory there is gone, but for what clients have mapped.
struct PlaceDown {
  PlaceId place{};
  Status why{};
  bool for_good = false;  // else it is on its way up again
};

// --- from the system and the catalog ---

struct LimitChanged {
  PlaceId place{};
  ByteCount limit{};
  ByteCount outside{};  // of the limit, used by others: clients of an earlier daemon
};
// What the catalog has of an earlier life; before any demand.
struct Restored {
  std::vector<std::pair<DesireKey, Reason>> desires{};
};
struct Persisted {
  uint64_t sequence = 0;
  Status result{};
};
// Nothing but time; REQUIRED when NextDeadline() has passed.
struct TimePassed {};

using Event =
    std::variant<Demanded, Withdrawn, Dismissed, LeaseEnded, ClientGone, ModelChanged, ModelGone,
                 FillProgressed, Filled, FillFailed, Released, Compared, Observed, PlaceUp,
                 PlaceDown, LimitChanged, Restored, Persisted, TimePassed>;

}  // namespace warmset::place

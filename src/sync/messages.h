// The state protocol between the daemon and one device worker.
//
// The worker alone knows what is on its device: an ordered map from key to
// opaque bytes, the *state*. The daemon alone knows what should be there, and
// keeps a *mirror* of the state from which it answers every query.
//
//  1. An *epoch* names one worker process, a *term* one daemon process; both
//     grow. Every message carries both (0: not known yet). A worker ignores
//     messages for another epoch or of an older term; a daemon ignores state of
//     an older epoch and replies of another epoch or term.
//  2. A *revision* numbers the states of one epoch: 0 is empty, and each Delta
//     leads from one revision to a later one. It is assigned when the delta
//     leaves, not when the change happens, so that whatever queues or orders
//     changes before that cannot reorder revisions.
//  3. A mirror applies a delta only if it stands at the delta's base. Behind it,
//     it asks for a Snapshot; it never guesses.
//  4. A Heartbeat carries the digest of the state at its revision. A mirror at
//     that revision with another digest has diverged: it counts that and asks
//     for a snapshot.
//  5. After a (re)connection the daemon says in Welcome what it knows; the
//     worker answers with a delta from there, or a snapshot if it cannot.
//  6. A command's id is (term, sequence). A repetition has the same id. The
//     worker executes an id at most once, and none that a later one overtook;
//     it answers every repetition with where the command stands.
//  7. A command is answered twice: Accepted at once, Done or Nack at its end.
//  8. What the daemon wants is compared with the mirror, never remembered as
//     sent: after any doubt it derives new commands with new ids.
//
// docs/design/sync.md gives the reasons; proto/warmset/v1/worker.proto is the
// same on the wire.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.h"

namespace warmset::sync {

// The room has no clock: whoever drives it passes the time, which never goes
// back.
using Time = std::chrono::steady_clock::time_point;

using State = std::map<std::string, std::string>;
using StateDigest = Digest128<struct StateDigestTag>;

// Equal for equal states only, up to XXH3's strength.
StateDigest DigestState(const State& state);

// --- daemon to worker ---

struct Welcome {
  uint64_t known_epoch = 0;
  uint64_t known_revision = 0;
};
struct SnapshotRequest {};

// Bring a component onto the device under `key`. The frame carries sealed memfds: the
// tensor index and the entry's `bytes` bytes; or, for an entry that is compressed, the
// streams of these and the table of their segments.
struct PlaceAction {
  std::string key;
  std::string component_id;
  std::string pool;
  uint64_t bytes = 0;
};
// Free what `key` holds; ends a Place that still runs. Done says how much
// memory came back.
struct ReleaseAction {
  std::string key;
};
// Done's frame carries the placement's tensor index and its chunks.
struct ExportAction {
  std::string key;
};
using Action = std::variant<PlaceAction, ReleaseAction, ExportAction>;

struct Command {
  uint64_t sequence = 0;
  Action action;
};

struct DaemonToWorker {
  uint64_t worker_epoch = 0;  // 0: whichever worker this is; not for commands
  uint64_t daemon_term = 0;
  std::variant<Welcome, Command, SnapshotRequest> body;
};

// --- worker to daemon ---

// The first message of a worker.
struct WorkerHello {
  uint32_t protocol = 0;  // kProtocolVersion
  std::string device_name;
  uint64_t memory_limit = 0;
};
// A daemon and a worker of different releases meet when the program file is
// replaced under a running daemon; they must not guess.
inline constexpr uint32_t kProtocolVersion = 2;

struct StateItem {
  std::string key;
  std::string value;
  bool removed = false;
};
struct Delta {
  uint64_t base_revision = 0;
  uint64_t revision = 0;
  std::vector<StateItem> items;
};
struct Snapshot {
  uint64_t revision = 0;
  State state;
};
struct Heartbeat {
  uint64_t revision = 0;
  StateDigest digest;
  uint64_t memory_used = 0;
  uint64_t shared_bytes = 0;
};

struct Accepted {};
struct Done {
  uint64_t freed_bytes = 0;
  std::vector<uint64_t> chunk_bytes;
};
struct Nack {
  std::string error_code;  // ErrorCodeName()
  std::string error_message;
};
struct CommandReply {
  uint64_t sequence = 0;
  std::variant<Accepted, Done, Nack> outcome;
};

struct WorkerToDaemon {
  uint64_t worker_epoch = 0;
  uint64_t daemon_term = 0;  // the newest the worker has seen
  std::variant<WorkerHello, Delta, Snapshot, Heartbeat, CommandReply> body;
};

}  // namespace warmset::sync

// The daemon's half of state: the mirror.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "sync/messages.h"

namespace warmset::sync {

struct MirrorStatus {
  uint64_t epoch = 0;
  uint64_t revision = 0;
  bool in_sync = false;
  uint64_t deltas = 0;       // applied
  uint64_t snapshots = 0;    // applied
  uint64_t gaps = 0;         // deltas or heartbeats that showed a missing delta
  uint64_t divergences = 0;  // another content at an equal revision: must stay 0
  // Since the worker last showed that it has what the mirror holds; nothing
  // when it never did, or not since the connection was lost.
  std::optional<std::chrono::nanoseconds> since_confirmed;
};

// What the worker last reported, and whether that can be relied on. It only
// ever holds states that the worker had. Not thread-safe.
class StateMirror {
 public:
  struct Options {
    std::chrono::milliseconds stale_after{2000};     // silence that ends in_sync
    std::chrono::milliseconds snapshot_retry{1000};  // until one is asked for again
  };

  explicit StateMirror(Options options) : options_(options) {}

  // Each takes one message of the worker with that epoch; true if state()
  // changed. Messages of an epoch older than the newest heard are ignored.
  bool OnDelta(uint64_t epoch, const Delta& delta, Time now);
  bool OnSnapshot(uint64_t epoch, const Snapshot& snapshot, Time now);
  void OnHeartbeat(uint64_t epoch, const Heartbeat& heartbeat, Time now);

  // The connection is gone: what is there is not in sync until the worker
  // confirms it.
  void OnDisconnect() { confirmed_.reset(); }

  // What to tell a worker that (re)connects; also asks for what is missing.
  Welcome MakeWelcome(Time now);

  // True when a SnapshotRequest must be sent now; then it counts as sent.
  bool TakeSnapshotRequest(Time now);
  // When TakeSnapshotRequest() becomes true unless a message comes first.
  std::optional<Time> NextSnapshotRequest() const;

  const State& state() const { return state_; }
  uint64_t epoch() const { return epoch_; }
  uint64_t revision() const { return revision_; }
  bool in_sync(Time now) const;
  MirrorStatus status(Time now) const;

 private:
  // False if the epoch is an older one; a newer one makes a snapshot needed.
  bool Hear(uint64_t epoch);

  const Options options_;
  State state_;
  uint64_t epoch_ = 0;     // of state_
  uint64_t revision_ = 0;  // of state_
  uint64_t newest_epoch_ = 0;
  bool needs_snapshot_ = true;
  std::optional<Time> requested_;
  std::optional<Time> confirmed_;  // when the worker last showed that it has state_
  MirrorStatus counters_;
};

}  // namespace warmset::sync

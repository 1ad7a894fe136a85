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
  std::chrono::nanoseconds since_heard{0};
};

// What the worker last reported, and whether that can be relied on. It only
// ever holds states that the worker had. Not thread-safe.
class StateMirror {
 public:
  struct Options {
    std::chrono::milliseconds stale_after{2000};      // silence that ends in_sync
    std::chrono::milliseconds snapshot_retry{1000};   // until one is asked for again
  };

  explicit StateMirror(Options options) : options_(options) {}

  // Each takes one message of the worker with that epoch; true if state()
  // changed. Messages of an epoch older than the mirror's are ignored.
  bool OnDelta(uint64_t epoch, const Delta& delta, Time now);
  bool OnSnapshot(uint64_t epoch, const Snapshot& snapshot, Time now);
  void OnHeartbeat(uint64_t epoch, const Heartbeat& heartbeat, Time now);

  // The connection is gone: what is there is stale until the next snapshot or
  // a delta from exactly here.
  void OnDisconnect();

  // What to tell a worker that (re)connects.
  Welcome MakeWelcome() const { return {epoch_, revision_}; }

  // True when a SnapshotRequest must be sent now; then it counts as sent.
  bool TakeSnapshotRequest(Time now);
  // When TakeSnapshotRequest() may become true without a message, if it may.
  std::optional<Time> NextSnapshotRequest() const;

  const State& state() const { return state_; }
  uint64_t epoch() const { return epoch_; }
  uint64_t revision() const { return revision_; }
  bool in_sync(Time now) const;
  MirrorStatus status(Time now) const;

 private:
  // True unless the epoch is an older one; notes the time, and a newer epoch.
  bool Hear(uint64_t epoch, Time now);

  const Options options_;
  State state_;
  uint64_t epoch_ = 0;
  uint64_t revision_ = 0;
  bool needs_snapshot_ = true;
  bool connected_ = false;
  std::optional<Time> requested_;
  std::optional<Time> heard_;
  MirrorStatus counters_;
};

}  // namespace warmset::sync

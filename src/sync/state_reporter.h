// The worker's half of state.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sync/messages.h"

namespace warmset::sync {

using WorkerBody = decltype(WorkerToDaemon::body);

// Collects the changes of a worker's state and makes messages of them. What has
// changed but not left yet is kept apart from what was reported, so that a
// revision always names exactly what a mirror at it must hold. Not thread-safe.
class StateReporter {
 public:
  struct Options {
    std::chrono::milliseconds heartbeat_interval{500};
    // Removals that are remembered for a Welcome that knows an older revision;
    // past them it gets a snapshot.
    size_t max_removals = 1024;
  };

  StateReporter(uint64_t epoch, Options options) : options_(options), epoch_(epoch) {}

  void Set(const std::string& key, std::string value);
  void Remove(const std::string& key);
  // What the next heartbeats say; a change makes one due.
  void SetUsage(uint64_t memory_used, uint64_t shared_bytes);

  void OnWelcome(const Welcome& welcome);
  void OnSnapshotRequest() { snapshot_due_ = true; }

  // What must be sent now, in this order: changes as one delta, a snapshot or a
  // delta from what the daemon knows if one is owed, a heartbeat after any of
  // them or when its time has come. A snapshot follows the delta to its own
  // revision, so that a mirror can compare the two.
  std::vector<WorkerBody> TakeDue(Time now);
  Time next_heartbeat() const { return next_heartbeat_; }

  uint64_t epoch() const { return epoch_; }
  uint64_t revision() const { return revision_; }
  // The state at revision().
  State reported() const;

 private:
  struct Reported {
    std::string value;
    uint64_t changed = 0;  // the revision that brought it
  };

  Delta FlushChanges();
  std::optional<Delta> DeltaSince(uint64_t base) const;

  const Options options_;
  const uint64_t epoch_;
  uint64_t revision_ = 0;
  std::map<std::string, Reported> reported_;
  std::map<std::string, std::optional<std::string>> changes_;  // nothing: removed
  std::deque<std::pair<uint64_t, std::string>> removals_;      // by revision
  uint64_t oldest_base_ = 0;  // the oldest revision that removals_ reaches back to

  Heartbeat usage_;                    // digest and revision are filled in when it leaves
  std::optional<StateDigest> digest_;  // of reported_, until it changes
  bool snapshot_due_ = false;
  std::optional<uint64_t> resume_from_;
  bool heartbeat_due_ = false;
  Time next_heartbeat_{};
};

}  // namespace warmset::sync

#include "sync/state_mirror.h"

namespace warmset::sync {

bool StateMirror::Hear(uint64_t epoch) {
  if (epoch < newest_epoch_) return false;
  newest_epoch_ = epoch;
  if (epoch != epoch_) needs_snapshot_ = true;
  return true;
}

bool StateMirror::OnDelta(uint64_t epoch, const Delta& delta, Time now) {
  if (!Hear(epoch) || needs_snapshot_) return false;
  if (delta.revision <= revision_) return false;  // a repetition
  if (delta.base_revision != revision_) {
    ++counters_.gaps;
    needs_snapshot_ = true;
    return false;
  }
  for (const StateItem& item : delta.items) {
    if (item.removed) {
      state_.erase(item.key);
    } else {
      state_[item.key] = item.value;
    }
  }
  revision_ = delta.revision;
  confirmed_ = now;
  ++counters_.deltas;
  return true;
}

bool StateMirror::OnSnapshot(uint64_t epoch, const Snapshot& snapshot, Time now) {
  if (!Hear(epoch)) return false;
  if (epoch == epoch_ && snapshot.revision < revision_) return false;  // overtaken
  const bool changed = state_ != snapshot.state;
  if (changed && !needs_snapshot_ && snapshot.revision == revision_) ++counters_.divergences;
  state_ = snapshot.state;
  epoch_ = epoch;
  revision_ = snapshot.revision;
  needs_snapshot_ = false;
  requested_.reset();
  confirmed_ = now;
  ++counters_.snapshots;
  return changed;
}

void StateMirror::OnHeartbeat(uint64_t epoch, const Heartbeat& heartbeat, Time now) {
  if (!Hear(epoch) || needs_snapshot_) return;
  if (heartbeat.revision < revision_) return;  // overtaken
  if (heartbeat.revision > revision_) {
    ++counters_.gaps;
    needs_snapshot_ = true;
  } else if (heartbeat.digest != DigestState(state_)) {
    ++counters_.divergences;
    needs_snapshot_ = true;
  } else {
    confirmed_ = now;
  }
}

Welcome StateMirror::MakeWelcome(Time now) {
  requested_ = now;
  // What diverged must not be built upon.
  return needs_snapshot_ ? Welcome{} : Welcome{epoch_, revision_};
}

bool StateMirror::TakeSnapshotRequest(Time now) {
  const std::optional<Time> due = NextSnapshotRequest();
  if (!due || *due > now) return false;
  requested_ = now;
  return true;
}

std::optional<Time> StateMirror::NextSnapshotRequest() const {
  if (!needs_snapshot_) return std::nullopt;
  return requested_ ? *requested_ + options_.snapshot_retry : Time{};
}

bool StateMirror::in_sync(Time now) const {
  return !needs_snapshot_ && confirmed_ && now - *confirmed_ <= options_.stale_after;
}

MirrorStatus StateMirror::status(Time now) const {
  MirrorStatus status = counters_;
  status.epoch = epoch_;
  status.revision = revision_;
  status.in_sync = in_sync(now);
  if (confirmed_) status.since_confirmed = now - *confirmed_;
  return status;
}

}  // namespace warmset::sync

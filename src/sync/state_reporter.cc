#include "sync/state_reporter.h"

#include <utility>

namespace warmset::sync {

void StateReporter::Set(const std::string& key, std::string value) {
  const auto found = reported_.find(key);
  if (found != reported_.end() && found->second.value == value) {
    changes_.erase(key);
  } else {
    changes_[key] = std::move(value);
  }
}

void StateReporter::Remove(const std::string& key) {
  if (reported_.contains(key)) {
    changes_[key] = std::nullopt;
  } else {
    changes_.erase(key);
  }
}

void StateReporter::SetUsage(uint64_t memory_used, uint64_t shared_bytes) {
  if (usage_.memory_used == memory_used && usage_.shared_bytes == shared_bytes) return;
  usage_.memory_used = memory_used;
  usage_.shared_bytes = shared_bytes;
  heartbeat_due_ = true;
}

void StateReporter::OnWelcome(const Welcome& welcome) {
  if (welcome.known_epoch == epoch_) {
    resume_from_ = welcome.known_revision;
  } else {
    snapshot_due_ = true;
  }
}

std::vector<WorkerBody> StateReporter::TakeDue(Time now) {
  std::vector<WorkerBody> due;
  if (!changes_.empty()) {
    Delta changes = FlushChanges();
    // A delta from what the daemon knows will hold these too.
    if (!resume_from_) due.emplace_back(std::move(changes));
  }
  if (resume_from_) {
    std::optional<Delta> delta = DeltaSince(*std::exchange(resume_from_, std::nullopt));
    if (!delta) {
      snapshot_due_ = true;
    } else if (delta->revision != delta->base_revision) {
      due.emplace_back(*std::move(delta));
    }
    heartbeat_due_ = true;
  }
  if (std::exchange(snapshot_due_, false)) due.emplace_back(Snapshot{revision_, reported()});

  if (!due.empty() || heartbeat_due_ || now >= next_heartbeat_) {
    if (!digest_) digest_ = DigestState(reported());
    usage_.revision = revision_;
    usage_.digest = *digest_;
    due.emplace_back(usage_);
    heartbeat_due_ = false;
    next_heartbeat_ = now + options_.heartbeat_interval;
  }
  return due;
}

State StateReporter::reported() const {
  State state;
  for (const auto& [key, item] : reported_) state.emplace_hint(state.end(), key, item.value);
  return state;
}

Delta StateReporter::FlushChanges() {
  Delta delta{.base_revision = revision_, .revision = revision_ + 1, .items = {}};
  revision_ = delta.revision;
  digest_.reset();
  for (auto& [key, value] : changes_) {
    delta.items.push_back({key, value.value_or(""), !value});
    if (value) {
      reported_[key] = {*std::move(value), revision_};
    } else {
      reported_.erase(key);
      removals_.emplace_back(revision_, key);
    }
  }
  changes_.clear();
  while (removals_.size() > options_.max_removals) {
    oldest_base_ = removals_.front().first;
    removals_.pop_front();
  }
  return delta;
}

std::optional<Delta> StateReporter::DeltaSince(uint64_t base) const {
  if (base < oldest_base_ || base > revision_) return std::nullopt;
  Delta delta{.base_revision = base, .revision = revision_, .items = {}};
  for (const auto& [key, item] : reported_) {
    if (item.changed > base) delta.items.push_back({key, item.value, false});
  }
  for (const auto& [revision, key] : removals_) {
    if (revision > base && !reported_.contains(key)) delta.items.push_back({key, "", true});
  }
  return delta;
}

}  // namespace warmset::sync

#include "cache/eviction/queue_policies.h"

#include <algorithm>
#include <iterator>

namespace warmset {
namespace {

// Where each object of a list is.
template <typename List, typename Places, typename IdOf>
void FindPlaces(List& list, Places& places, IdOf id_of) {
  for (auto at = list.begin(); at != list.end(); ++at) places[id_of(*at)] = at;
}

constexpr auto kItself = [](const ComponentId& id) { return id; };
constexpr auto kItsId = [](const auto& node) { return node.id; };

}  // namespace

SievePolicy::SievePolicy(const SievePolicy& other) : queue_(other.queue_) {
  FindPlaces(queue_, place_, kItsId);
  hand_ = other.hand_ == other.queue_.end() ? queue_.end() : place_.at(other.hand_->id);
}

void SievePolicy::Request(const CachedObject& object) {
  const auto found = place_.find(object.id);
  if (found != place_.end()) found->second->used = true;
}

void SievePolicy::Insert(const CachedObject& object) {
  place_[object.id] = queue_.insert(queue_.end(), {object.id, false});
}

void SievePolicy::Remove(const ComponentId& id) {
  const auto found = place_.find(id);
  if (hand_ == found->second) ++hand_;
  queue_.erase(found->second);
  place_.erase(found);
}

std::optional<ComponentId> SievePolicy::Victim(const MayEvict& may_evict) {
  // Twice around: once to take the marks off, once more to find one without.
  for (size_t steps = 2 * queue_.size(); steps > 0; --steps) {
    if (hand_ == queue_.end()) hand_ = queue_.begin();
    if (!hand_->used && may_evict(hand_->id)) return hand_->id;
    hand_->used = false;
    ++hand_;
  }
  return std::nullopt;
}

S3FifoPolicy::S3FifoPolicy(const S3FifoPolicy& other)
    : small_limit_(other.small_limit_),
      small_bytes_(other.small_bytes_),
      small_(other.small_),
      main_(other.main_),
      ghosts_(other.ghosts_) {
  FindPlaces(small_, place_, kItsId);
  FindPlaces(main_, place_, kItsId);
  FindPlaces(ghosts_, ghost_place_, kItself);
}

void S3FifoPolicy::Request(const CachedObject& object) {
  const auto found = place_.find(object.id);
  if (found != place_.end()) found->second->uses = std::min(found->second->uses + 1, kMaxUses);
}

void S3FifoPolicy::Insert(const CachedObject& object) {
  const auto ghost = ghost_place_.find(object.id);
  const bool in_main = ghost != ghost_place_.end();
  if (in_main) {
    ghosts_.erase(ghost->second);
    ghost_place_.erase(ghost);
  } else {
    small_bytes_ += object.bytes;
  }
  Queue& queue = in_main ? main_ : small_;
  place_[object.id] = queue.insert(queue.end(), {object.id, object.bytes, 0, in_main});
}

void S3FifoPolicy::Remove(const ComponentId& id) {
  const auto found = place_.find(id);
  const Queue::iterator node = found->second;
  if (!node->in_main) {
    small_bytes_ -= node->bytes;
    RememberGhost(id);
  }
  (node->in_main ? main_ : small_).erase(node);
  place_.erase(found);
}

void S3FifoPolicy::RememberGhost(const ComponentId& id) {
  ghost_place_[id] = ghosts_.insert(ghosts_.end(), id);
  while (ghosts_.size() > std::max<size_t>(main_.size(), 16)) {
    ghost_place_.erase(ghosts_.front());
    ghosts_.pop_front();
  }
}

std::optional<ComponentId> S3FifoPolicy::Victim(const MayEvict& may_evict) {
  const bool small_first = small_bytes_ >= small_limit_;
  auto victim = small_first ? VictimOfSmall(may_evict) : VictimOfMain(may_evict);
  if (!victim) victim = small_first ? VictimOfMain(may_evict) : VictimOfSmall(may_evict);
  return victim;
}

// What was used more than once moves on to the main queue.
std::optional<ComponentId> S3FifoPolicy::VictimOfSmall(const MayEvict& may_evict) {
  for (auto node = small_.begin(); node != small_.end();) {
    const auto next = std::next(node);
    if (node->uses > 1) {
      node->uses = 0;
      node->in_main = true;
      small_bytes_ -= node->bytes;
      main_.splice(main_.end(), small_, node);
    } else if (may_evict(node->id)) {
      return node->id;
    }
    node = next;
  }
  return std::nullopt;
}

// What was used goes to the end once more for each use.
std::optional<ComponentId> S3FifoPolicy::VictimOfMain(const MayEvict& may_evict) {
  for (size_t steps = (kMaxUses + 1) * main_.size(); steps > 0; --steps) {
    const auto node = main_.begin();
    if (node->uses == 0 && may_evict(node->id)) return node->id;
    if (node->uses > 0) --node->uses;
    main_.splice(main_.end(), main_, node);
  }
  return std::nullopt;
}

}  // namespace warmset

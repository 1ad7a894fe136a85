#include "cache/eviction/score_policies.h"

#include <algorithm>
#include <utility>

namespace warmset {
double CostPerByte(const CachedObject& object) {
  return object.load_seconds / static_cast<double>(std::max<uint64_t>(object.bytes, 1));
}

void ScorePolicy::Request(const CachedObject& object) {
  ++now_;
  Known& known = known_[object.id];
  known.object = object;
  if (known.in_ram) ++known.requests_in_ram;
  OnRequest(known);
  known.history.Count(now_);
}

void ScorePolicy::Recall(const CachedObject& object, const UseHistory& history) {
  Known& known = known_[object.id];
  known.object = object;
  known.history = history;
  now_ = std::max(now_, history.last_request);
}

void ScorePolicy::Insert(const CachedObject& object) {
  Known& known = known_[object.id];
  known.object = object;
  known.in_ram = true;
  known.requests_in_ram = 1;
  known.insertion = ++insertions_;
  OnInsert(known);
}

void ScorePolicy::Remove(const ComponentId& id) {
  Known& known = known_.at(id);
  known.in_ram = false;
  OnRemove(known);
}

std::optional<ComponentId> ScorePolicy::Victim(const MayEvict& may_evict) {
  const Known* victim = nullptr;
  double lowest = 0;
  for (const auto& [id, known] : known_) {
    if (!known.in_ram || !may_evict(id)) continue;
    const double score = Score(known);
    const auto age = [](const Known& each) {
      return std::pair(each.history.last_request, each.insertion);
    };
    const bool lower = victim == nullptr || score < lowest ||
                       (score == lowest && age(known) < age(*victim));
    if (!lower) continue;
    victim = &known;
    lowest = score;
  }
  return victim == nullptr ? std::nullopt : std::optional(victim->object.id);
}

double Ew3Policy::Score(const Known& known) const {
  return known.history.RateAt(now()) * CostPerByte(known.object);
}

double LruPolicy::Score(const Known& known) const {
  return static_cast<double>(known.history.last_request);
}

double LfuPolicy::Score(const Known& known) const {
  return static_cast<double>(known.history.requests);
}

double GdsfPolicy::Score(const Known& known) const { return known.base; }

void GdsfPolicy::OnRequest(Known& known) {
  known.base = inflation_ +
               static_cast<double>(known.requests_in_ram) * CostPerByte(known.object);
}

void GdsfPolicy::OnInsert(Known& known) { OnRequest(known); }

void GdsfPolicy::OnRemove(const Known& known) { inflation_ = std::max(inflation_, known.base); }

double NextUsePolicy::Score(const Known& known) const {
  constexpr double kOverdue = 2;  // intervals without a use, after which it has ended
  const double waited = static_cast<double>(now() - known.history.last_request);
  if (known.history.interval == 0 || waited > kOverdue * known.history.interval) {
    return -waited / CostPerByte(known.object);
  }
  const double until_next = std::max(known.history.interval - waited, 1.0);
  return CostPerByte(known.object) / until_next;
}

}  // namespace warmset

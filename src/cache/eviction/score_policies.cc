#include "cache/eviction/score_policies.h"

#include <algorithm>
#include <cmath>

namespace warmset {
namespace {

// Half-lives of Ew3Policy's windows, in requests.
constexpr std::array<double, 3> kHalfLives = {3, 100, 3000};

double Decay(double requests, double half_life) { return std::exp2(-requests / half_life); }

double Distance(uint64_t now, uint64_t then) { return static_cast<double>(now - then); }

}  // namespace

double CostPerByte(const CachedObject& object) {
  return object.load_seconds / static_cast<double>(std::max<uint64_t>(object.bytes, 1));
}

void ScorePolicy::Request(const CachedObject& object) {
  ++now_;
  Known& known = known_[object.id];
  known.object = object;
  ++known.requests;
  if (known.in_ram) ++known.requests_in_ram;
  OnRequest(known);
  known.last_request = now_;
}

void ScorePolicy::Insert(const CachedObject& object) {
  Known& known = known_[object.id];
  known.object = object;
  known.in_ram = true;
  known.requests_in_ram = 1;
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
    const bool lower = victim == nullptr || score < lowest ||
                       (score == lowest && known.last_request < victim->last_request);
    if (!lower) continue;
    victim = &known;
    lowest = score;
  }
  return victim == nullptr ? std::nullopt : std::optional(victim->object.id);
}

void Ew3Policy::OnRequest(Known& known) {
  const double distance = Distance(now(), known.last_request);
  for (size_t i = 0; i < kHalfLives.size(); ++i) {
    // A request a window's length ago weighs as much in every window.
    const double weight = std::log(2.0) / kHalfLives[i];
    known.rates[i] = known.rates[i] * Decay(distance, kHalfLives[i]) + weight;
  }
}

double Ew3Policy::Score(const Known& known) const {
  const double distance = Distance(now(), known.last_request);
  double rate = 0;
  for (size_t i = 0; i < kHalfLives.size(); ++i) {
    rate += known.rates[i] * Decay(distance, kHalfLives[i]);
  }
  return rate / static_cast<double>(kHalfLives.size()) * CostPerByte(known.object);
}

double LfuPolicy::Score(const Known& known) const { return static_cast<double>(known.requests); }

double GdsfPolicy::Score(const Known& known) const { return known.base; }

void GdsfPolicy::OnRequest(Known& known) {
  known.base = inflation_ +
               static_cast<double>(known.requests_in_ram) * CostPerByte(known.object);
}

void GdsfPolicy::OnInsert(Known& known) { OnRequest(known); }

void GdsfPolicy::OnRemove(const Known& known) { inflation_ = std::max(inflation_, known.base); }

void NextUsePolicy::OnRequest(Known& known) {
  if (known.last_request == 0) return;
  constexpr double kNewest = 0.5;  // the share of the last interval in the smoothed one
  const double distance = Distance(now(), known.last_request);
  known.interval =
      known.interval == 0 ? distance : known.interval + kNewest * (distance - known.interval);
}

double NextUsePolicy::Score(const Known& known) const {
  constexpr double kOverdue = 2;  // intervals without a use, after which it has ended
  const double waited = Distance(now(), known.last_request);
  if (known.interval == 0 || waited > kOverdue * known.interval) {
    return -waited / CostPerByte(known.object);
  }
  const double until_next = std::max(known.interval - waited, 1.0);
  return CostPerByte(known.object) / until_next;
}

}  // namespace warmset

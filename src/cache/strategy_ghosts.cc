#include "cache/strategy_ghosts.h"

#include <cmath>

#include "cache/eviction/score_policies.h"

namespace warmset {
namespace {

const double kDecay = std::exp2(-1.0 / 500);
// How much better the other must be: changing over takes time, too.
constexpr double kAdvantage = 1.01;

}  // namespace

StrategyGhosts::StrategyGhosts(uint64_t capacity_bytes)
    : raw_(std::make_unique<Ew3Policy>(), capacity_bytes), mixed_(capacity_bytes) {}

std::vector<ComponentId> StrategyGhosts::Request(const ComponentId& id, const FormCosts& costs,
                                                 bool as_raw) {
  const bool hit = raw_.Request({id, costs.raw_bytes, costs.load_seconds});
  saved_raw_ = saved_raw_ * kDecay + (hit ? costs.load_seconds : 0);
  saved_mixed_ = saved_mixed_ * kDecay + mixed_.Request(id, costs, as_raw);
  const bool changes_over = mixes_ ? saved_raw_ > saved_mixed_ * kAdvantage
                                   : saved_mixed_ > saved_raw_ * kAdvantage;
  if (changes_over) {
    mixes_ = !mixes_;
    return mixed_.Components();
  }
  return mixes_ ? mixed_.changed() : std::vector<ComponentId>();
}

void StrategyGhosts::Recall(const CachedObject& object, const UseHistory& history) {
  raw_.Recall(object, history);
  mixed_.Recall(object.id, history);
}

CacheStrategy StrategyGhosts::StrategyFor(const ComponentId& id) const {
  const bool compressed = mixes_ && mixed_.FormOf(id) == FormGhost::Form::kCompressed;
  return compressed ? CacheStrategy::kBalanced : CacheStrategy::kSpeed;
}

bool StrategyGhosts::IsExpendable(const ComponentId& id) const {
  return mixes_ && mixed_.HasDropped(id);
}

}  // namespace warmset

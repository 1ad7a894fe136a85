#include "place/retention.h"

#include <algorithm>

namespace warmset::place {

Retention RetentionOf(const State& state, const DesireKey& key, const Desire& desire) {
  if (desire.reason == Reason::kLoad || desire.reason == Reason::kPath) return Retention::kKept;
  const ModelTable::Known* const model = state.models.Find(key.model);
  if (model == nullptr) return Retention::kMedium;
  const KeepSettings& settings = model->snapshot->settings;
  // Desires end with the time to keep.
  if (settings.pinned || settings.keep.count() > 0) return Retention::kKept;
  switch (settings.priority) {
    case CachePriority::kLow:
      return Retention::kLow;
    case CachePriority::kMedium:
      return Retention::kMedium;
    case CachePriority::kHigh:
      break;
  }
  return Retention::kHigh;
}

namespace {

// Calls with each desire for the content at the place until one gives true; whether one did.
template <typename Visit>
bool AnyDesireAt(const State& state, ContentId content, const PlaceId& place, Visit visit) {
  const ContentTable::Content* const known = state.contents.Get(content);
  if (known == nullptr) return false;
  for (const ComponentId& component : known->components) {
    for (const DesireKey& key : state.desires.For(component)) {
      if (key.place == place && visit(key)) return true;
    }
  }
  return false;
}

}  // namespace

std::vector<DesireKey> DesiresAt(const State& state, ContentId content, const PlaceId& place) {
  std::vector<DesireKey> keys;
  AnyDesireAt(state, content, place, [&](const DesireKey& key) {
    keys.push_back(key);
    return false;
  });
  return keys;
}

std::vector<DesireKey> DesiresFor(const State& state, ContentId content, const PlaceId& place,
                                  Form form) {
  std::vector<DesireKey> keys = DesiresAt(state, content, place);
  std::erase_if(keys, [form](const DesireKey& key) { return !Satisfies(form, key.form); });
  return keys;
}

Retention RetentionOf(const State& state, ContentId content, const PlaceId& place) {
  Retention highest = Retention::kGone;
  AnyDesireAt(state, content, place, [&](const DesireKey& key) {
    highest = std::max(highest, RetentionOf(state, key, state.desires.all().at(key)));
    return highest == Retention::kKept;
  });
  return highest;
}

bool IsDesired(const State& state, const Row& row) {
  return row.visible && AnyDesireAt(state, row.content, row.place, [&](const DesireKey& key) {
           return Satisfies(row.form, key.form);
         });
}

bool IsSatisfied(const State& state, const DesireKey& key, const Desire& desire, bool or_coming) {
  const auto content = desire.component ? state.contents.Find(*desire.component) : std::nullopt;
  if (!content) return false;
  for (const Form form : {Form::kRaw, Form::kNamed, Form::kCompressed, Form::kShared}) {
    if (!Satisfies(form, key.form)) continue;
    const Row* const row = state.rows.FindVisible(*content, key.place, form);
    if (row == nullptr) continue;
    // A compression under way is no promise: it may come to nothing.
    if (row->state == RowState::kReady || (or_coming && form != Form::kCompressed)) return true;
  }
  return false;
}

CacheStrategy StrategyOf(const State& state, ContentId content) {
  std::optional<CacheStrategy> strategy;
  for (const DesireKey& key : DesiresAt(state, content, Ram())) {
    const ModelTable::Known* const model = state.models.Find(key.model);
    if (model == nullptr) continue;
    const CacheStrategy own = model->snapshot->settings.strategy;
    strategy = strategy ? MoreRaw(*strategy, own) : own;
  }
  return strategy.value_or(CacheStrategy::kSpeed);
}

}  // namespace warmset::place

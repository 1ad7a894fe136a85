// Models come, change and go; their desires follow.
#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "place/residency.h"
#include "place/retention.h"

namespace warmset::place {
namespace {

constexpr std::chrono::seconds kWriteRetry{1};

}  // namespace

void Residency::On(const ModelChanged& event) {
  const ModelSnapshot& snapshot = *event.snapshot;
  const ModelTable::Known* const known = state_.models.Find(snapshot.model);
  const SharedSnapshot before = known == nullptr ? nullptr : known->snapshot;
  state_.models.Put(event.snapshot, now_);
  if (before == nullptr || before->revision != snapshot.revision) Retarget(snapshot);
  if (before == nullptr || before->revision == snapshot.revision) return;
  for (auto demand = state_.demands.begin(); demand != state_.demands.end();) {
    const ModelSnapshot& used = *demand->what.snapshot;
    demand = used.model == snapshot.model && used.revision != snapshot.revision
                 ? FailDemand(demand, Error(ErrorCode::kFileChanged,
                                            fmt::format("the files of {} were replaced meanwhile; "
                                                        "ask again",
                                                        snapshot.name)))
                 : std::next(demand);
  }
  ForgetUnused(*before);
}

void Residency::On(const ModelGone& event) {
  const ModelTable::Known* const known = state_.models.Find(event.model);
  if (known == nullptr) return;
  const SharedSnapshot before = known->snapshot;
  state_.models.Remove(event.model);
  for (const DesireKey& key : state_.desires.OfModel(event.model)) {
    // The drive of a pinned one may come back.
    const bool comes_back = before->settings.pinned && key.place == Ram() && key.form == Form::kRaw;
    if (comes_back) {
      state_.desires.SetComponent(key, std::nullopt);
    } else {
      state_.desires.Erase(key);
    }
  }
  for (auto demand = state_.demands.begin(); demand != state_.demands.end();) {
    demand = demand->what.snapshot->model == event.model
                 ? FailDemand(demand, Error(ErrorCode::kModelNotFound,
                                            fmt::format("the files of {} are gone", before->name)))
                 : std::next(demand);
  }
  ForgetUnused(*before);
}

// A desire is by name: one that must stay follows the model to its new files. The others end,
// and the files are read when the next demand comes.
void Residency::Retarget(const ModelSnapshot& snapshot) {
  for (const DesireKey& key : state_.desires.OfModel(snapshot.model)) {
    const auto& parts = key.form == Form::kNamed ? snapshot.files : snapshot.components;
    const ModelPart* const part = FindPart(parts, key.part);
    const Desire& desire = *state_.desires.Find(key);
    const bool same = part != nullptr && desire.component == part->id;
    const bool follows =
        part != nullptr &&
        (!desire.component || desire.reason == Reason::kLoad || snapshot.settings.pinned) &&
        (key.form != Form::kNamed || !desire.component);
    if (follows || same) {
      state_.desires.SetComponent(key, part->id);
    } else {
      state_.desires.Erase(key);
    }
  }
}

// What no model has any more is found by no demand from here on; leases keep theirs.
void Residency::ForgetUnused(const ModelSnapshot& before) {
  for (const auto* parts : {&before.components, &before.files}) {
    for (const ModelPart& part : *parts) {
      if (state_.models.HasUser(part.id)) continue;
      const auto content = state_.contents.Find(part.id);
      if (!content || !state_.contents.Forget(part.id)) continue;
      for (auto& [id, row] : state_.rows.all()) {
        if (row.content == *content) state_.rows.Hide(row, ReleaseReason::kUnwanted);
      }
    }
  }
}

void Residency::On(const Restored& event) {
  for (const auto& [key, reason] : event.desires) {
    const bool is_asked_for = reason == Reason::kCache || reason == Reason::kPreload;
    state_.desires.Restore(key, is_asked_for ? Reason::kRestart : reason);
    const ModelTable::Known* const model = state_.models.Find(key.model);
    if (model == nullptr) continue;
    const ModelSnapshot& snapshot = *model->snapshot;
    const ModelPart* const part =
        FindPart(key.form == Form::kNamed ? snapshot.files : snapshot.components, key.part);
    if (part != nullptr) {
      state_.desires.SetComponent(key, part->id);
    } else {
      state_.desires.Erase(key);
    }
  }
}

void Residency::Expire() {
  for (const auto& [id, model] : state_.models.all()) {
    const std::chrono::seconds keep = model.snapshot->settings.keep;
    if (keep.count() == 0 || model.last_used + keep > now_ || state_.leases.HasAnyOf(id)) continue;
    for (const DesireKey& key : state_.desires.OfModel(id)) {
      if (key.place == Ram()) state_.desires.Erase(key);
    }
  }
}

// --- the catalog ---

void Residency::WriteDesires() {
  const bool waits = state_.write_at && *state_.write_at > now_;
  if (!state_.writing.empty() || waits || !state_.desires.dirty()) return;
  state_.write_at.reset();
  state_.writing = state_.desires.TakeDirty();
  out_.push_back(Persist{.sequence = ++state_.last_write, .rows = state_.writing});
}

void Residency::On(const Persisted& event) {
  if (event.sequence != state_.last_write || state_.writing.empty()) return;
  const auto rows = std::exchange(state_.writing, {});
  if (event.result.ok()) return;
  state_.desires.SetDirty(rows);
  state_.write_at = now_ + kWriteRetry;
}

}  // namespace warmset::place

// Demands, dismissals and leases.
#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "place/residency.h"
#include "place/retention.h"

namespace warmset::place {

// --- demands ---

void Residency::On(const Demanded& event) {
  const Status status = CheckDemand(event);
  if (!status.ok()) {
    out_.push_back(Answer{.request = event.request, .status = status});
    return;
  }
  if (event.counts && event.form != Form::kNamed) {
    for (const uint32_t part : event.parts) {
      const ModelPart& wanted = event.snapshot->components[part];
      const ContentId content = state_.contents.Of(wanted.id);
      state_.policy->Used({.component = state_.contents.Get(content)->components.front(),
                           .bytes = wanted.bytes,
                           .reload_seconds = wanted.reload_seconds});
    }
  }
  state_.demands.push_back({event});
}

Status Residency::CheckDemand(const Demanded& demand) const {
  const ModelSnapshot& snapshot = *demand.snapshot;
  const ModelTable::Known* const model = state_.models.Find(snapshot.model);
  if (model == nullptr) {
    return Error(
        ErrorCode::kModelNotFound,
        fmt::format("the files of {} are gone; scan again, or name another model", snapshot.name));
  }
  if (model->snapshot->revision != snapshot.revision) {
    return Error(ErrorCode::kFileChanged,
                 fmt::format("the files of {} were replaced; ask again", snapshot.name));
  }
  const auto& parts = demand.form == Form::kNamed ? snapshot.files : snapshot.components;
  const bool exist = std::all_of(demand.parts.begin(), demand.parts.end(),
                                 [&parts](uint32_t part) { return part < parts.size(); });
  if (!exist || demand.parts.empty()) {
    return Error(ErrorCode::kComponentNotFound,
                 fmt::format("{} does not have that part", snapshot.name));
  }
  const auto place = state_.places.find(demand.place);
  if (place == state_.places.end()) {
    return Error(ErrorCode::kDeviceNotFound,
                 fmt::format("there is no device '{}'", demand.place.value()));
  }
  const bool in_ram =
      demand.form == Form::kNamed || (demand.form == Form::kRaw && demand.place == Ram());
  if (demand.form == Form::kCompressed ||
      (demand.form != Form::kRaw && in_ram != (demand.place == Ram()))) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("nothing is {} at {}", FormName(demand.form), demand.place.value()));
  }
  return place->second.state == Place::State::kFailed ? place->second.why : OkStatus();
}

void Residency::On(const Withdrawn& event) {
  const auto demand =
      std::find_if(state_.demands.begin(), state_.demands.end(),
                   [&](const Demand& each) { return each.what.request == event.request; });
  if (demand == state_.demands.end()) return;
  FailDemand(demand, Error(ErrorCode::kCancelled, "the request was withdrawn"));
}

void Residency::Bind(Demand& demand, std::vector<PlacementId> rows) {
  demand.rows = std::move(rows);
  for (const PlacementId id : demand.rows) ++state_.rows.Find(id)->demands;
  Changed();
}

void Residency::Unbind(Demand& demand) {
  for (const PlacementId id : std::exchange(demand.rows, {})) --state_.rows.Find(id)->demands;
  Changed();
}

Residency::DemandIt Residency::FinishDemand(DemandIt demand, Answer answer) {
  answer.request = demand->what.request;
  Unbind(*demand);
  out_.push_back(std::move(answer));
  return state_.demands.erase(demand);
}

Residency::DemandIt Residency::FailDemand(DemandIt demand, const Status& why,
                                          std::vector<PlacementId> blockers) {
  return FinishDemand(demand, {.status = why, .blockers = std::move(blockers)});
}

void Residency::FailDemandsFor(PlacementId row, const Status& why) {
  for (auto demand = state_.demands.begin(); demand != state_.demands.end();) {
    const auto& rows = demand->rows;
    const bool waits = std::find(rows.begin(), rows.end(), row) != rows.end();
    demand = waits ? FailDemand(demand, why) : std::next(demand);
  }
}

bool Residency::IsFulfilled(const Demand& demand) const {
  return demand.admitted() &&
         std::all_of(demand.rows.begin(), demand.rows.end(), [&](PlacementId id) {
           const Row& row = *state_.rows.Find(id);
           return row.state == RowState::kReady ||
                  (demand.what.while_filling && row.can_be_exported);
         });
}

void Residency::AnswerReady() {
  for (auto demand = state_.demands.begin(); demand != state_.demands.end();) {
    demand = IsFulfilled(*demand) ? Fulfil(demand) : std::next(demand);
  }
}

// A desire comes with success: a demand that fails leaves none.
Residency::DemandIt Residency::Fulfil(DemandIt demand) {
  const Demanded& what = demand->what;
  const ModelSnapshot& snapshot = *what.snapshot;
  const auto& parts = what.form == Form::kNamed ? snapshot.files : snapshot.components;
  Answer answer;
  for (size_t i = 0; i < what.parts.size(); ++i) {
    const ModelPart& part = parts[what.parts[i]];
    Row& row = *state_.rows.Find(demand->rows[i]);
    if (what.reason) {
      state_.desires.Put({snapshot.model, part.name, what.place, what.form}, *what.reason, part.id);
      // What it was brought there from stays in RAM as long as there is room.
      const DesireKey in_ram{snapshot.model, part.name, Ram(), Form::kRaw};
      const Desire from{.reason = Reason::kCache, .component = part.id};
      if (what.place != Ram() && IsSatisfied(state_, in_ram, from, /*or_coming=*/true)) {
        state_.desires.Put(in_ram, Reason::kCache, part.id);
      }
    }
    Answer::Part& given = answer.parts.emplace_back(
        Answer::Part{.placement = row.id, .filled = row.state == RowState::kReady});
    if (what.lease) {
      given.lease = state_.leases.Add({what.session, row.id, snapshot.model});
      ++row.leases;
    }
  }
  state_.models.Find(snapshot.model)->last_used = now_;
  return FinishDemand(demand, std::move(answer));
}

// --- dismissals ---

void Residency::On(const Dismissed& event) {
  const bool in_ram = event.place == Ram();
  Answer answer{.request = event.request};
  std::vector<DesireKey> keys;
  for (const DesireKey& key : state_.desires.OfModel(event.model)) {
    const bool named = event.parts.empty() || std::find(event.parts.begin(), event.parts.end(),
                                                        key.part) != event.parts.end();
    const bool there = event.place ? key.place == *event.place : key.place != Ram();
    if (named && there && (!event.form || key.form == *event.form)) keys.push_back(key);
  }
  if (keys.empty()) {
    answer.status = in_ram ? Error(ErrorCode::kNotCached, "nothing of it is in RAM")
                           : Error(ErrorCode::kNotLoaded, "nothing of it is on that device");
    out_.push_back(std::move(answer));
    return;
  }

  Dismissal dismissal{.request = event.request};
  for (const DesireKey& key : keys) {
    const auto& component = state_.desires.Find(key)->component;
    const auto content = component ? state_.contents.Find(*component) : std::nullopt;
    if (!content) continue;
    for (const Form form : {Form::kRaw, Form::kNamed, Form::kCompressed, Form::kShared}) {
      const Row* const row = state_.rows.FindVisible(*content, key.place, form);
      if (row == nullptr || !Satisfies(form, key.form)) continue;
      dismissal.rows.insert(row->id);
      // A device can't give the memory back; in RAM it follows when the last lease ends.
      if (row->leases > 0 && !in_ram && DesiresFor(state_, *content, key.place, form).size() == 1) {
        answer.blockers.push_back(row->id);
      }
    }
  }
  if (!answer.blockers.empty()) {
    answer.status = Error(ErrorCode::kInUse,
                          "clients hold it on the device; its memory can't be freed before they "
                          "end");
    out_.push_back(std::move(answer));
    return;
  }
  for (const DesireKey& key : keys) state_.desires.Erase(key);
  dismissed_.push_back(std::move(dismissal));
}

void Residency::AnswerDismissals() {
  for (Dismissal& dismissal : std::exchange(dismissed_, {})) {
    for (auto it = dismissal.rows.begin(); it != dismissal.rows.end();) {
      const Row* const row = state_.rows.Find(*it);
      const bool leaves = row != nullptr && row->state == RowState::kReleasing;
      if (row != nullptr && !leaves) dismissal.stays.push_back(*it);
      if (leaves) dismissal.freed += row->bytes;
      it = leaves ? std::next(it) : dismissal.rows.erase(it);
    }
    state_.dismissals.push_back(std::move(dismissal));
  }
  for (auto it = state_.dismissals.begin(); it != state_.dismissals.end();) {
    std::erase_if(it->rows, [this](PlacementId id) { return state_.rows.Find(id) == nullptr; });
    if (!it->rows.empty()) {
      ++it;
      continue;
    }
    out_.push_back(Answer{.request = it->request, .freed = it->freed, .stays = it->stays});
    it = state_.dismissals.erase(it);
  }
}

// --- leases ---

void Residency::On(const LeaseEnded& event) {
  const std::optional<Lease> lease = state_.leases.End(event.lease);
  if (!lease) return;
  --state_.rows.Find(lease->placement)->leases;
  if (ModelTable::Known* model = state_.models.Find(lease->model)) model->last_used = now_;
}

void Residency::On(const ClientGone& event) {
  for (const LeaseId lease : state_.leases.OfSession(event.session)) On(LeaseEnded{lease});
  for (auto demand = state_.demands.begin(); demand != state_.demands.end();) {
    demand = demand->what.session == event.session
                 ? FailDemand(demand, Error(ErrorCode::kCancelled, "the client left"))
                 : std::next(demand);
  }
}

}  // namespace warmset::place

#include "place/residency.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "fmt/format.h"

namespace warmset::place {

Residency::Residency(const std::vector<PlaceOptions>& places, std::unique_ptr<VictimPolicy> policy)
    : state_(std::move(policy)) {
  for (const PlaceOptions& options : places) {
    const bool is_ram = options.id == Ram();
    state_.places[options.id] = {
        .limit = options.limit,
        .outside = {},
        .fills_at_once = options.fills_at_once,
        .state = is_ram ? Place::State::kUp : Place::State::kStarting,
        .why = is_ram ? OkStatus()
                      : Error(ErrorCode::kDeviceUnavailable,
                              fmt::format("{} is starting", options.id.value()))};
  }
}

Commands Residency::Apply(const Event& event, Time now) {
  now_ = now;
  out_.clear();
  short_of_room_.clear();
  changed_ = false;
  std::visit([this](const auto& each) { On(each); }, event);
  // Marks come with every chunk; only the first of a row changes what can be done.
  const bool is_mark = std::holds_alternative<FillProgressed>(event) && !changed_;
  if (!is_mark) Settle();
  return std::exchange(out_, {});
}

void Residency::Settle() {
  do {
    changed_ = false;
    short_of_room_.clear();
    Expire();
    ReinstateSuperseded();
    ShrinkPlaces();
    AnswerReady();
    ReleaseUnneeded();
    AdmitDemands();
    Refill();
    ConsiderForms();
    StartFills();
  } while (changed_);
  AnswerDismissals();
  WriteDesires();
}

std::optional<Time> Residency::NextDeadline() const {
  std::optional<Time> next;
  const auto consider = [&](Time time) {
    if (time > now_) next = next ? std::min(*next, time) : time;  // the rest was considered
  };
  for (const auto& [key, desire] : state_.desires.all()) {
    if (desire.retry_at && *desire.retry_at != Time::max()) consider(*desire.retry_at);
    const ModelTable::Known* const model = state_.models.Find(key.model);
    if (model == nullptr || key.place != Ram()) continue;
    const std::chrono::seconds keep = model->snapshot->settings.keep;
    if (keep.count() > 0 && !state_.leases.HasAnyOf(key.model)) consider(model->last_used + keep);
  }
  if (state_.write_at) consider(*state_.write_at);
  return next;
}

std::string LabelOf(const ModelSnapshot& snapshot, const ModelPart& part) {
  return fmt::format("{}/{}", snapshot.name, part.name);
}

}  // namespace warmset::place

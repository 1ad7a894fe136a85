#include "place/plan.h"

#include <deque>
#include <optional>
#include <variant>

namespace warmset::place {
namespace {

Event Success(const Fill& fill) {
  return Filled{.placement = fill.placement, .bytes = fill.bytes, .content = {}, .seconds = 0};
}

// What ends the work that was under way when the copy was made.
std::deque<Event> EndsOfWork(const State& state) {
  std::deque<Event> ends;
  for (const auto& [id, row] : state.rows.all()) {
    if (row.state == RowState::kReleasing) ends.push_back(Released{id});
    if (row.state != RowState::kFilling) continue;
    ends.push_back(Filled{.placement = id, .bytes = row.bytes, .content = {}, .seconds = 0});
  }
  for (const auto& [placement, with] : state.comparisons) {
    ends.push_back(Compared{placement, with, /*equal=*/false});
  }
  return ends;
}

}  // namespace

Plan PlanFor(const Residency& machine, const Demanded& demand, Time now) {
  Residency copy = machine;
  Plan plan;
  std::optional<Status> answer;
  std::deque<Event> next = EndsOfWork(copy.state());
  const auto take = [&](const Commands& commands) {
    for (const Command& command : commands) {
      if (const auto* fill = std::get_if<Fill>(&command)) {
        if (fill->request == demand.request) plan.steps.push_back(*fill);
        next.push_back(Success(*fill));
      } else if (const auto* release = std::get_if<Release>(&command)) {
        if (release->request == demand.request) plan.steps.push_back(*release);
        next.push_back(Released{release->placement});
      } else if (const auto* compare = std::get_if<Compare>(&command)) {
        next.push_back(Compared{compare->placement, compare->with, /*equal=*/false});
      } else if (const auto* given = std::get_if<Answer>(&command)) {
        if (given->request == demand.request) answer = given->status;
      }
    }
  };
  take(copy.Apply(demand, now));
  const auto place = copy.state().places.find(demand.place);
  if (!answer && place != copy.state().places.end() &&
      place->second.state == Place::State::kStarting) {
    take(copy.Apply(PlaceUp{demand.place}, now));
  }
  while (!answer && !next.empty()) {
    const Event event = next.front();
    next.pop_front();
    take(copy.Apply(event, now));
  }
  plan.refused = answer.value_or(OkStatus());
  if (!plan.refused.ok()) plan.steps.clear();
  return plan;
}

}  // namespace warmset::place

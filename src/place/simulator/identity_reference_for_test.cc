#include "place/simulator/identity_reference_for_test.h"

#include <set>
#include <variant>

#include "fmt/format.h"

namespace warmset::place {

// That a leased placement is neither released nor filled again is checked by the tiers.
void IdentityReference::After(const Event&, const Commands& commands, Time) {
  std::set<PlacementId> released;
  for (const Command& command : commands) {
    if (const auto* release = std::get_if<Release>(&command)) released.insert(release->placement);
    const auto* const answer = std::get_if<Answer>(&command);
    if (answer == nullptr || answer->parts.empty()) continue;
    const Demanded& demand = facts_.demands.at(answer->request);
    for (size_t i = 0; i < answer->parts.size(); ++i) {
      const auto memory = facts_.memories.find(answer->parts[i].placement);
      if (memory == facts_.memories.end()) continue;  // AnswersReference says so
      if (memory->second.content != facts_.ContentOf(demand, i)) {
        Violated(fmt::format("request {} gets other bytes than those of its component",
                             answer->request.value()));
      }
      const Form form = memory->second.form;
      const bool fits = form == demand.form || (demand.form == Form::kRaw && form == Form::kNamed);
      if (memory->second.place != demand.place || !fits) {
        Violated("a placement elsewhere or in another form");
      }
      if (released.contains(answer->parts[i].placement)) Violated("released, then given");
    }
    // The model may have other files by now: then the request must not be served.
    const auto model = facts_.models.find(demand.snapshot->model);
    if (model == facts_.models.end() || model->second->revision != demand.snapshot->revision) {
      Violated("bytes are given under the name of files that were replaced");
    }
  }
}

}  // namespace warmset::place

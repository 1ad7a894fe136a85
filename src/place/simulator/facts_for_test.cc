#include "place/simulator/facts_for_test.h"

#include <algorithm>
#include <variant>

namespace warmset::place {

void Facts::Note(const Event& event) {
  if (const auto* demanded = std::get_if<Demanded>(&event)) {
    demands[demanded->request] = *demanded;
  } else if (const auto* dismissed = std::get_if<Dismissed>(&event)) {
    dismissals[dismissed->request] = *dismissed;
  } else if (const auto* ended = std::get_if<LeaseEnded>(&event)) {
    leases.erase(ended->lease);
  } else if (const auto* gone = std::get_if<ClientGone>(&event)) {
    std::erase_if(leases, [&](const auto& each) { return each.second.session == gone->session; });
  } else if (const auto* changed = std::get_if<ModelChanged>(&event)) {
    models[changed->snapshot->model] = changed->snapshot;
  } else if (const auto* removed = std::get_if<ModelGone>(&event)) {
    models.erase(removed->model);
  } else if (const auto* limit = std::get_if<LimitChanged>(&event)) {
    limits[limit->place] = {limit->limit, limit->outside};
  } else if (const auto* down = std::get_if<PlaceDown>(&event)) {
    if (down->for_good) failed.insert(down->place);
  } else if (const auto* twins = std::get_if<Compared>(&event)) {
    const ComponentId a = memories.at(twins->placement).component;
    const ComponentId b = memories.at(twins->with).component;
    if (twins->equal) compared.emplace(std::min(a, b), std::max(a, b));
  }
  for (const auto& [id, memory] : memories) {
    if (!IsOfAModel(memory.component)) forgotten.insert(id);
  }
  std::erase_if(compared, [this](const auto& pair) {
    return !IsOfAModel(pair.first) || !IsOfAModel(pair.second);
  });
}

bool Facts::IsOfAModel(const ComponentId& component) const {
  for (const auto& [id, snapshot] : models) {
    for (const auto* parts : {&snapshot->components, &snapshot->files}) {
      for (const ModelPart& part : *parts) {
        if (part.id == component) return true;
      }
    }
  }
  return false;
}

void Facts::Note(const Answer& answer) {
  const auto demand = demands.find(answer.request);
  if (demand != demands.end()) {
    for (const Answer::Part& part : answer.parts) {
      if (!part.lease) continue;
      leases[*part.lease] = {demand->second.session, part.placement,
                             demand->second.snapshot->model};
    }
    demands.erase(demand);
  }
  dismissals.erase(answer.request);
}

}  // namespace warmset::place

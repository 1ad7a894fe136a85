#include "place/simulator/need_reference_for_test.h"

#include <algorithm>
#include <set>
#include <string>
#include <variant>

#include "fmt/format.h"

namespace warmset::place {

namespace {

std::string Name(const DesireKey& key) {
  return fmt::format("{} of model {} at {} ({})", key.part, static_cast<int>(key.model.bytes[0]),
                     key.place.value(), FormName(key.form));
}

}  // namespace

bool NeedReference::IsNeeded(const Memory& memory) const {
  for (const auto& [request, demand] : facts_.demands) {
    // A device is filled from RAM.
    if (demand.place != memory.place && memory.place != Ram()) continue;
    for (size_t i = 0; i < demand.parts.size(); ++i) {
      if (facts_.ContentOf(demand, i) == memory.content) return true;
    }
  }
  if (wants_.IsWanted(memory.content, memory.place)) return true;
  if (memory.place != Ram()) return false;
  for (const auto& [place, limit] : facts_.limits) {
    if (wants_.IsWanted(memory.content, place)) return true;
  }
  return false;
}

void NeedReference::After(const Event&, const Commands& commands, Time) {
  std::set<PlacementId> stopped;
  std::set<RequestId> answered;
  for (const Command& command : commands) {
    if (const auto* release = std::get_if<Release>(&command)) stopped.insert(release->placement);
    if (const auto* answer = std::get_if<Answer>(&command)) answered.insert(answer->request);
  }
  // Demands that were answered in this step are still among the facts.
  if (!answered.empty()) return;
  for (const auto& [id, memory] : facts_.memories) {
    const bool goes_on = memory.state == Memory::State::kFilling && !memory.releasing &&
                         !memory.lost && memory.leases == 0 && !stopped.contains(id);
    if (goes_on && !IsNeeded(memory)) {
      Violated(fmt::format("placement {} is filled, but nothing needs it", id.value()));
    }
  }
}

bool NeedReference::HasDependants(PlacementId id) const {
  return std::any_of(facts_.memories.begin(), facts_.memories.end(),
                     [id](const auto& each) { return each.second.source == id; });
}

void NeedReference::CheckMemories() {
  for (const auto& [id, memory] : facts_.memories) {
    if (memory.state == Memory::State::kFilling || memory.releasing) {
      Violated(fmt::format("placement {} is still under way", id.value()));
    } else if (memory.leases == 0 && memory.state == Memory::State::kFailed) {
      Violated(fmt::format("what is left of placement {} is never released", id.value()));
    } else if (memory.leases == 0 && !IsNeeded(memory) && !HasDependants(id)) {
      Violated(fmt::format("placement {} stays, but nothing needs it", id.value()));
    }
  }
}

void NeedReference::CheckQuiet(const State& state, const std::map<DesireKey, Reason>& written) {
  CheckMemories();
  for (const DesireKey& key : wants_.Promised()) {
    const auto desire = state.desires.all().find(key);
    if (desire == state.desires.all().end()) {
      Violated(fmt::format("{} was promised and is forgotten", Name(key)));
    } else if (!wants_.IsThere(key) && desire->second.why.ok()) {
      Violated(fmt::format("{} was promised and is not there, and no row says why", Name(key)));
    }
  }
  for (const auto& [id, row] : state.rows.all()) {
    const auto memory = facts_.memories.find(id);
    if (row.state == RowState::kWaiting || memory == facts_.memories.end()) {
      Violated(fmt::format("row {} has no memory", id.value()));
    }
  }
  for (const auto& [id, memory] : facts_.memories) {
    if (state.rows.Find(id) == nullptr) {
      Violated(fmt::format("placement {} has no row", id.value()));
    }
  }
  std::map<DesireKey, Reason> desired;
  for (const auto& [key, desire] : state.desires.all()) desired[key] = desire.reason;
  for (const auto& [key, reason] : desired) {
    if (!written.contains(key)) Violated(fmt::format("{} is not written down", Name(key)));
  }
  for (const auto& [key, reason] : written) {
    if (!desired.contains(key)) Violated(fmt::format("{} is written down for ever", Name(key)));
  }
}

}  // namespace warmset::place

#include "place/simulator/room_reference_for_test.h"

#include <algorithm>
#include <variant>

#include "fmt/format.h"

namespace warmset::place {

ByteCount RoomReference::TakenAt(const PlaceId& place) const {
  ByteCount taken = facts_.limits.at(place).outside;
  for (const auto& [id, memory] : facts_.memories) {
    if (memory.place == place) taken += memory.bytes;
  }
  return taken;
}

void RoomReference::After(const Event& event, const Commands& commands, Time) {
  // What was promised before may be impossible now.
  if (std::holds_alternative<LimitChanged>(event) || std::holds_alternative<FillFailed>(event)) {
    evicted_for_.clear();
  }
  leased_now_.clear();
  std::map<PlaceId, ByteCount> begun;
  for (const Command& command : commands) {
    if (const auto* fill = std::get_if<Fill>(&command)) {
      begun[fill->place] += fill->bytes;
      const ByteCount taken = TakenAt(fill->place) + begun[fill->place];
      const ByteCount limit = facts_.limits.at(fill->place).limit;
      if (fill->bytes > ByteCount() && taken > limit) {
        Violated(
            fmt::format("{} takes {} of {}", fill->place.value(), taken.value(), limit.value()));
      }
    } else if (const auto* release = std::get_if<Release>(&command)) {
      if (release->why == ReleaseReason::kEvicted && release->request != RequestId()) {
        evicted_for_.insert(release->request);
      }
    } else if (const auto* answer = std::get_if<Answer>(&command)) {
      JudgeRefusal(*answer);
      for (const Answer::Part& part : answer->parts) {
        if (part.lease) leased_now_.insert(part.placement);
      }
    }
  }
}

void RoomReference::JudgeRefusal(const Answer& answer) {
  if (CodeOf(answer.status) != ErrorCode::kRamLimitExceeded) return;
  const auto demand = facts_.demands.find(answer.request);
  if (demand == facts_.demands.end()) return;
  const Demanded& what = demand->second;
  if (evicted_for_.contains(answer.request)) {
    Violated(fmt::format("request {} evicts others and is refused then", answer.request.value()));
  }
  if (what.place != Ram() || !what.may_evict) return;

  // At most: what turns out to have the bytes of another component takes nothing.
  std::set<uint64_t> needed;
  std::map<ComponentId, ByteCount> missing_parts;
  for (size_t i = 0; i < what.parts.size(); ++i) {
    const ModelPart& part = facts_.PartsOf(what).at(what.parts[i]);
    needed.insert(facts_.universe.ContentOf(part.id));
    missing_parts[part.id] = part.bytes;
  }
  const Facts::Limit& ram = facts_.limits.at(Ram());
  const ByteCount held = ram.outside + HeldForGood(needed);
  for (const auto& [id, memory] : facts_.memories) {
    const bool serves =
        memory.form == what.form || (what.form == Form::kRaw && memory.form == Form::kNamed);
    if (memory.place == Ram() && serves && !memory.releasing && !facts_.forgotten.contains(id) &&
        memory.state != Memory::State::kFailed) {
      missing_parts.erase(memory.component);
    }
  }
  ByteCount missing;
  for (const auto& [component, bytes] : missing_parts) missing += bytes;
  if (held + missing <= ram.limit) {
    Violated(fmt::format("request {} is refused, but its {} fit: {} of {} are held for good",
                         answer.request.value(), missing.value(), held.value(), ram.limit.value()));
  }
}

bool RoomReference::HasDependants(PlacementId id) const {
  return std::any_of(facts_.memories.begin(), facts_.memories.end(), [&](const auto& each) {
    return each.second.source == id && each.second.form == Form::kShared;
  });
}

ByteCount RoomReference::HeldForGood(const std::set<uint64_t>& needed) const {
  ByteCount held;
  for (const auto& [id, memory] : facts_.memories) {
    if (memory.place != Ram() || memory.releasing) continue;
    if (memory.leases > 0 || leased_now_.contains(id) || HasDependants(id) ||
        needed.contains(memory.content) || wants_.IsPromised(memory.content, Ram())) {
      held += memory.bytes;
    }
  }
  return held;
}

void RoomReference::CheckQuiet() {
  for (const auto& [place, limit] : facts_.limits) {
    if (TakenAt(place) <= limit.limit) continue;
    for (const auto& [id, memory] : facts_.memories) {
      if (memory.place == place && memory.bytes > ByteCount() && memory.leases == 0 &&
          !HasDependants(id) && !wants_.IsPromised(memory.content, place)) {
        Violated(fmt::format("{} is over its limit, and placement {} stays there", place.value(),
                             id.value()));
      }
    }
  }
}

}  // namespace warmset::place

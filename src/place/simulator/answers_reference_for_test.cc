#include "place/simulator/answers_reference_for_test.h"

#include <variant>

#include "fmt/format.h"

namespace warmset::place {

void AnswersReference::Allow(const PlaceId& place, ErrorCode code) {
  for (auto& [request, causes] : causes_) {
    const auto demand = facts_.demands.find(request);
    if (demand != facts_.demands.end() && demand->second.place == place) causes.insert(code);
  }
}

void AnswersReference::AllowOfModel(const ModelId& model, ErrorCode code) {
  for (auto& [request, causes] : causes_) {
    const auto demand = facts_.demands.find(request);
    if (demand != facts_.demands.end() && demand->second.snapshot->model == model) {
      causes.insert(code);
    }
  }
}

void AnswersReference::Before(const Event& event, Time) {
  if (const auto* demanded = std::get_if<Demanded>(&event)) {
    auto& causes = causes_[demanded->request];
    const auto model = facts_.models.find(demanded->snapshot->model);
    if (model == facts_.models.end()) {
      causes.insert(ErrorCode::kModelNotFound);
    } else if (model->second->revision != demanded->snapshot->revision) {
      causes.insert(ErrorCode::kFileChanged);
    }
    if (facts_.failed.contains(demanded->place)) causes.insert(ErrorCode::kDeviceUnavailable);
    if (demanded->must_be_there) causes.insert(ErrorCode::kNotLoaded);
    // RoomReference judges these.
    causes.insert(ErrorCode::kRamLimitExceeded);
    if (demanded->place != Ram()) causes.insert(ErrorCode::kInsufficientDeviceMemory);
  } else if (const auto* dismissed = std::get_if<Dismissed>(&event)) {
    causes_[dismissed->request] = dismissed->place == Ram()
                                      ? std::set{ErrorCode::kNotCached}
                                      : std::set{ErrorCode::kNotLoaded, ErrorCode::kInUse};
  } else if (const auto* withdrawn = std::get_if<Withdrawn>(&event)) {
    const auto open = causes_.find(withdrawn->request);
    if (open != causes_.end()) open->second.insert(ErrorCode::kCancelled);
  } else if (const auto* gone = std::get_if<ClientGone>(&event)) {
    for (auto& [request, causes] : causes_) {
      const auto demand = facts_.demands.find(request);
      if (demand != facts_.demands.end() && demand->second.session == gone->session) {
        causes.insert(ErrorCode::kCancelled);
      }
    }
  } else if (const auto* changed = std::get_if<ModelChanged>(&event)) {
    AllowOfModel(changed->snapshot->model, ErrorCode::kFileChanged);
  } else if (const auto* removed = std::get_if<ModelGone>(&event)) {
    AllowOfModel(removed->model, ErrorCode::kModelNotFound);
  } else if (const auto* failed = std::get_if<FillFailed>(&event)) {
    const auto memory = facts_.memories.find(failed->placement);
    if (memory == facts_.memories.end()) return;
    for (auto& [request, causes] : causes_) {
      const auto demand = facts_.demands.find(request);
      if (demand == facts_.demands.end()) continue;
      for (size_t i = 0; i < demand->second.parts.size(); ++i) {
        const bool concerns = facts_.ContentOf(demand->second, i) == memory->second.content;
        if (concerns) causes.insert(CodeOf(failed->why));
      }
    }
  } else if (const auto* down = std::get_if<PlaceDown>(&event)) {
    Allow(down->place, ErrorCode::kDeviceUnavailable);
  } else if (const auto* observed = std::get_if<Observed>(&event)) {
    Allow(observed->place, ErrorCode::kDeviceUnavailable);
  }
}

void AnswersReference::After(const Event& event, const Commands& commands, Time) {
  for (const Command& command : commands) {
    if (const auto* answer = std::get_if<Answer>(&command)) Judge(*answer);
  }
  const auto* const withdrawn = std::get_if<Withdrawn>(&event);
  const auto* const gone = std::get_if<ClientGone>(&event);
  for (const auto& [request, causes] : causes_) {
    const auto demand = facts_.demands.find(request);
    if (demand == facts_.demands.end()) continue;
    const bool has_left = (withdrawn != nullptr && withdrawn->request == request) ||
                          (gone != nullptr && gone->session == demand->second.session);
    if (has_left) Violated(fmt::format("request {} outlives its client", request.value()));
  }
}

void AnswersReference::Judge(const Answer& answer) {
  const auto open = causes_.find(answer.request);
  if (open == causes_.end()) {
    return Violated(fmt::format("request {} is answered, but not open", answer.request.value()));
  }
  const auto demand = facts_.demands.find(answer.request);
  const bool is_demand = demand != facts_.demands.end();
  if (!answer.status.ok() && !open->second.contains(CodeOf(answer.status))) {
    Violated(fmt::format("request {} fails with {}, for which there was no cause",
                         answer.request.value(), ErrorCodeName(CodeOf(answer.status))));
  }
  const size_t parts = answer.status.ok() && is_demand ? demand->second.parts.size() : 0;
  if (answer.parts.size() != parts) {
    Violated(fmt::format("request {} gets {} of {} parts", answer.request.value(),
                         answer.parts.size(), parts));
  }
  for (const Answer::Part& part : answer.parts) {
    if (part.lease.has_value() != demand->second.lease) Violated("a lease too many or too few");
    const auto memory = facts_.memories.find(part.placement);
    if (memory == facts_.memories.end() || memory->second.releasing) {
      Violated(fmt::format("request {} gets placement {}, which is not there",
                           answer.request.value(), part.placement.value()));
    } else if (memory->second.state != Memory::State::kReady &&
               (part.filled || !demand->second.while_filling)) {
      Violated("a placement is given as filled before it is");
    }
  }
  causes_.erase(open);
}

void AnswersReference::CheckQuiet() {
  for (const auto& [request, causes] : causes_) {
    Violated(fmt::format("request {} is never answered", request.value()));
  }
}

}  // namespace warmset::place

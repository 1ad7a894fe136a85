// How far uses are, and uses that end without an answer.
#include <algorithm>
#include <chrono>
#include <utility>

#include "daemon/model_use_operation.h"
#include "fmt/format.h"

namespace warmset {
LoadProgress ModelUse::ProgressOf(Operation& operation) const {
  LoadProgress progress;
  for (const Operation::Part& part : operation.parts) {
    progress.total += part.bytes;
    if (part.arrived) {
      progress.done += part.bytes;
    } else if (const auto reading = cache_.ProgressOf(part.id)) {
      progress.done += std::min(reading->done, part.bytes);
    }
  }
  operation.done_bytes = std::max(operation.done_bytes, progress.done);
  progress.done = std::min(operation.done_bytes, progress.total);
  return progress;
}

std::optional<LoadProgress> ModelUse::ProgressOf(UseId use) {
  const auto found = open_.find(use);
  if (found == open_.end() || found->second->finished || found->second->parts.empty()) {
    return std::nullopt;
  }
  return ProgressOf(*found->second);
}

std::string ModelUse::NameOf(UseId use) const {
  const auto found = open_.find(use);
  const bool known = found != open_.end() && found->second->attempt != nullptr;
  return known ? found->second->attempt->summary->name : std::string();
}

std::optional<LoadProgress> ModelUse::ProgressOf(const ModelId& model) {
  std::optional<LoadProgress> largest;
  for (const auto& [use, operation] : open_) {
    if (operation->request.model != model || operation->request.whole_files) continue;
    const auto progress = ProgressOf(use);
    if (progress && (!largest || progress->total > largest->total)) largest = progress;
  }
  return largest;
}

void ModelUse::Cancel(UseId use) {
  const auto found = open_.find(use);
  if (found == open_.end() || found->second->finished) return;
  const Shared operation = found->second;
  GiveBack(*operation);
  Finish(operation, Error(ErrorCode::kCancelled, "whoever asked has left"));
}

void ModelUse::GiveBack(Operation& operation) {
  for (const Operation::Part& part : operation.parts) {
    if (!part.arrived && part.wait != 0) cache_.Withdraw(part.id, part.wait);
  }
  for (Component& component : operation.result.components) {
    component.held.reset();
    if (component.read_bytes > 0) cache_.DropUnused(component.file);
  }
  operation.result.components.clear();
}

void ModelUse::WatchStandstill() {
  watch_ = 0;
  const auto now = std::chrono::steady_clock::now();
  std::vector<Shared> still;
  for (const auto& [use, operation] : open_) {
    if (operation->finished) continue;
    uint64_t steps = operation->steps;
    if (operation->attempt != nullptr) {
      steps += (operation->attempt->looked ? 1 : 0) + operation->attempt->verified_bytes;
    }
    for (const Operation::Part& part : operation->parts) {
      if (part.arrived) continue;
      if (const auto reading = cache_.ProgressOf(part.id)) steps += reading->done;
      if (cache_.IsQueued(part.id)) steps += cache_.moves();  // others come first
    }
    if (std::exchange(operation->seen_steps, steps) != steps) operation->moved = now;
    if (now - operation->moved >= patience_.standstill) still.push_back(operation);
  }
  for (const Shared& operation : still) {
    GiveBack(*operation);
    const std::string path = operation->attempt != nullptr ? operation->attempt->summary->path()
                                                           : std::string("the disk");
    Finish(
        operation,
        Error(ErrorCode::kTimeout,
              fmt::format("{} has not answered for {} s: its disk or server hangs; look there, "
                          "then ask again",
                          path,
                          std::chrono::floor<std::chrono::seconds>(patience_.standstill).count())));
  }
  if (!open_.empty()) watch_ = loop_.RunAfter(kStandstillLooks, [this] { WatchStandstill(); });
}

}  // namespace warmset

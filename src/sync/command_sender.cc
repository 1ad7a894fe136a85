#include "sync/command_sender.h"

#include <utility>

#include "fmt/format.h"

namespace warmset::sync {

uint64_t CommandSender::Begin(uint64_t epoch, Action action, Time now) {
  const uint64_t sequence = ++last_sequence_;
  pending_[sequence] = {epoch, std::move(action), 0, now};
  return sequence;
}

std::vector<CommandSender::Completion> CommandSender::TakeExpired(Time now) {
  std::vector<Completion> expired;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.next > now || it->second.unanswered <= options_.retries) {
      ++it;
      continue;
    }
    expired.push_back({it->first, Error(ErrorCode::kTimeout,
                                        fmt::format("the device worker did not answer, asked {} "
                                                    "times",
                                                    it->second.unanswered))});
    it = pending_.erase(it);
  }
  return expired;
}

std::vector<DaemonToWorker> CommandSender::TakeDue(Time now) {
  std::vector<DaemonToWorker> due;
  for (auto& [sequence, pending] : pending_) {
    if (pending.next > now || pending.unanswered > options_.retries) continue;
    due.push_back({pending.epoch, term_, Command{sequence, pending.action}});
    ++pending.unanswered;
    pending.next = now + options_.answer_timeout;
    if (pending.unanswered <= options_.retries) {
      pending.next += options_.first_backoff * (1 << (pending.unanswered - 1));
    }
  }
  return due;
}

std::optional<Time> CommandSender::NextDeadline() const {
  std::optional<Time> next;
  for (const auto& [sequence, pending] : pending_) {
    if (!next || pending.next < *next) next = pending.next;
  }
  return next;
}

std::optional<CommandSender::Completion> CommandSender::OnReply(uint64_t epoch, uint64_t term,
                                                                const CommandReply& reply,
                                                                Time now) {
  const auto found = pending_.find(reply.sequence);
  if (term != term_ || found == pending_.end() || found->second.epoch != epoch) {
    return std::nullopt;
  }
  if (std::holds_alternative<Accepted>(reply.outcome)) {
    found->second.unanswered = 0;
    found->second.next = now + options_.answer_timeout;
    return std::nullopt;
  }
  Completion completion{reply.sequence, Done{}};
  if (const auto* nack = std::get_if<Nack>(&reply.outcome)) {
    completion.result = Error(ErrorCodeFromName(nack->error_code), nack->error_message);
  } else {
    completion.result = std::get<Done>(reply.outcome);
  }
  pending_.erase(found);
  return completion;
}

std::vector<CommandSender::Completion> CommandSender::FailAll(const Status& why) {
  std::vector<Completion> failed;
  for (const auto& [sequence, pending] : pending_) failed.push_back({sequence, why});
  pending_.clear();
  return failed;
}

}  // namespace warmset::sync

#include "sync/command_receiver.h"

#include <string>
#include <utility>

#include "base/status.h"

namespace warmset::sync {

bool CommandReceiver::Admit(const DaemonToWorker& message) {
  const bool addressed = message.worker_epoch == epoch_;
  const bool may_be_unaddressed = !std::holds_alternative<Command>(message.body);
  if (!addressed && !(may_be_unaddressed && message.worker_epoch == 0)) return false;
  if (message.daemon_term < term_) return false;
  if (message.daemon_term > term_) {
    term_ = message.daemon_term;
    last_sequence_ = 0;
    outcomes_.clear();
  }
  return true;
}

CommandReceiver::Decision CommandReceiver::OnCommand(const Command& command) {
  const uint64_t sequence = command.sequence;
  if (sequence > last_sequence_) {
    last_sequence_ = sequence;
    outcomes_[sequence] = Accepted{};
    return {true, {sequence, Accepted{}}};
  }
  const auto known = outcomes_.find(sequence);
  if (known != outcomes_.end()) return {false, {sequence, known->second}};
  return {false,
          {sequence, Nack{std::string(ErrorCodeName(ErrorCode::kCancelled)),
                          "a later command came before this one, or it ended long ago"}}};
}

std::optional<CommandReply> CommandReceiver::Finish(uint64_t term, uint64_t sequence,
                                                    std::variant<Done, Nack> outcome) {
  if (term != term_) return std::nullopt;
  Outcome& known = outcomes_[sequence];
  std::visit([&known](auto& end) { known = std::move(end); }, outcome);
  CommandReply reply{sequence, known};
  for (auto it = outcomes_.begin(); it != outcomes_.end() && outcomes_.size() > remembered_;) {
    it = std::holds_alternative<Accepted>(it->second) ? std::next(it) : outcomes_.erase(it);
  }
  return reply;
}

}  // namespace warmset::sync

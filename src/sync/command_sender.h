// The daemon's half of commands.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "base/status.h"
#include "sync/messages.h"

namespace warmset::sync {

// Gives commands their ids, repeats them until they are answered, and says how
// each ended. A command that is accepted is asked after from time to time, so
// that a lost Done comes again. Not thread-safe.
class CommandSender {
 public:
  struct Options {
    std::chrono::milliseconds answer_timeout{5000};
    int retries = 3;                               // after the first, each with the same id
    std::chrono::milliseconds first_backoff{500};  // before a retry; doubles
  };

  // How a command ended: Done, or an error: the worker's Nack, kTimeout when
  // it did not answer (then it may still execute), kDeviceUnavailable when it
  // is gone.
  struct Completion {
    uint64_t sequence = 0;
    StatusOr<Done> result;
  };

  CommandSender(uint64_t term, Options options) : options_(options), term_(term) {}

  // Begins a command for the worker with that epoch; its first sending is due
  // at once. Returns its sequence.
  uint64_t Begin(uint64_t epoch, Action action, Time now);

  // Commands that were not answered in time; they are forgotten.
  std::vector<Completion> TakeExpired(Time now);
  // Commands to send now, first time or again, in order of their sequence.
  std::vector<DaemonToWorker> TakeDue(Time now);
  // When TakeDue() or TakeExpired() may have something, if ever.
  std::optional<Time> NextDeadline() const;

  // The command's end, if this reply is one. Replies to unknown commands, of
  // another epoch or of another term are ignored.
  std::optional<Completion> OnReply(uint64_t epoch, uint64_t term, const CommandReply& reply,
                                    Time now);

  // The worker is gone: ends every command.
  std::vector<Completion> FailAll(const Status& why);

  uint64_t term() const { return term_; }
  bool idle() const { return pending_.empty(); }

 private:
  struct Pending {
    uint64_t epoch = 0;
    Action action;
    int unanswered = 0;  // sendings since the last answer
    Time next;           // when to send it next, or to give it up
  };

  const Options options_;
  const uint64_t term_;
  uint64_t last_sequence_ = 0;
  std::map<uint64_t, Pending> pending_;
};

}  // namespace warmset::sync

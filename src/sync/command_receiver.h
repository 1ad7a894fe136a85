// The worker's half of commands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <variant>

#include "sync/messages.h"

namespace warmset::sync {

// Decides which messages of the daemon count and which commands are executed,
// and remembers how they ended. Not thread-safe.
class CommandReceiver {
 public:
  // Remembers the ends of that many commands; a repetition of an older one is
  // answered like one that was overtaken.
  explicit CommandReceiver(uint64_t epoch, size_t remembered = 256)
      : epoch_(epoch), remembered_(remembered) {}

  // Whether the message is for this worker and not from an older daemon. A
  // newer term than any before ends all memory of older commands.
  bool Admit(const DaemonToWorker& message);

  struct Decision {
    bool execute = false;
    CommandReply reply;  // to send in any case
  };
  // REQUIRES: Admit() said yes to its message.
  Decision OnCommand(const Command& command);

  // The end of a command that OnCommand(), under that term, said to execute.
  // The reply to send; nothing when the daemon that wanted it is gone.
  std::optional<CommandReply> Finish(uint64_t term, uint64_t sequence,
                                     std::variant<Done, Nack> outcome);

  // The newest seen, 0 at first.
  uint64_t term() const { return term_; }

 private:
  using Outcome = decltype(CommandReply::outcome);

  const uint64_t epoch_;
  const size_t remembered_;
  uint64_t term_ = 0;
  uint64_t last_sequence_ = 0;
  std::map<uint64_t, Outcome> outcomes_;  // Accepted: still running
};

}  // namespace warmset::sync

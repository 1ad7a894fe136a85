// Signals as a process of Warmset takes them.
#pragma once

#include <span>

#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

// Blocks the signals for this thread and those it starts later, and returns a
// descriptor that is readable when one of them is pending.
StatusOr<UniqueFd> MakeSignalFd(std::span<const int> signals);
// Takes one pending signal; its number, 0 when there is none.
int TakeSignal(int signal_fd);

// Whether the process ignores the signal, as after nohup.
bool IsIgnored(int signal);

// Makes a write past the limit on file sizes (ulimit -f, SIGXFSZ), and one to a pipe that
// nobody reads (SIGPIPE), an error of that call instead of the end of the process.
// Programs that this one starts, or becomes, get the signals as this process had them.
// Call on the only thread.
void IgnoreFileSizeSignal();
void IgnorePipeSignal();

namespace internal {
// Undoes what the two have done; async-signal-safe.
void RestoreIgnoredSignals();
}  // namespace internal

}  // namespace warmset::os

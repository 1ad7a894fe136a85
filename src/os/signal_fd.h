#pragma once

#include <initializer_list>

#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

// Blocks the signals for this thread and those it starts later, and returns a
// descriptor that is readable when one of them is pending.
StatusOr<UniqueFd> MakeSignalFd(std::initializer_list<int> signals);
// Takes one pending signal; its number, 0 when there is none.
int TakeSignal(int signal_fd);

}  // namespace warmset::os

// Which system calls each profile of the sandbox leaves, as a seccomp program.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <vector>

#include "os/sandbox.h"

namespace warmset::os {

// A call that is not on the profile's list kills the process; a few that
// libraries try and can do without fail with EACCES. own_pid: the only process
// that signals may go to. beneath: whether openat2 may be called, whose flags a
// filter can't see; only with Landlock behind it.
std::vector<sock_filter> MakeSyscallFilter(SandboxProfile profile, pid_t own_pid, bool beneath);

}  // namespace warmset::os

// The memory limits of the control groups that this process is in.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/strong.h"

namespace warmset::os {

// What the tightest limit leaves: of this process's group and of those above it, in
// version 1 (memory.limit_in_bytes) and 2 (memory.max, memory.high), each less what the
// group uses now, files that the kernel can drop left out. The largest value when there
// is no limit. A container sees the groups below its mount only; of those above it version
// 1 tells the limit. `root` goes before every path, for tests: "" is this machine.
// Sources: Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst of Linux,
// proc_pid_mountinfo(5).
ByteCount CgroupHeadroom(const std::string& root = "");
// The same for another process, whose groups are looked for where this one sees them.
ByteCount CgroupHeadroomOf(pid_t pid, const std::string& root = "");

}  // namespace warmset::os

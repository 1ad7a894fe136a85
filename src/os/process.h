// Child processes and what can be known of other processes.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

// A child process, seen through a pidfd that becomes readable when it ends.
struct ChildProcess {
  pid_t pid = 0;
  UniqueFd pidfd;
  uint64_t oom_kills = 0;  // OomKills() when it was started
};

// Starts argv[0] (a path) with the given descriptors: pair {from, to} makes
// this process's `from` the child's `to`; all others stay closed. Its environment
// is this process's and `variables` ("NAME=value"), which go before. The child
// gets SIGTERM when the thread that spawned it ends.
StatusOr<ChildProcess> Spawn(const std::vector<std::string>& argv,
                             const std::vector<std::pair<int, int>>& fds,
                             const std::vector<std::string>& variables = {});

// Runs a function in a copy of this process; what it returns is the copy's exit
// status. The copy is killed when the thread that forked ends. REQUIRES: this
// thread is the process's only one.
StatusOr<ChildProcess> Fork(const std::function<int()>& run);

// What a function returns that may never return, because it waits for a disk: it runs in a
// copy of this process, which is left behind when the time is over (kTimeout). At most
// 64 KiB. REQUIRES: this thread is the process's only one.
StatusOr<std::string> AnswerOf(const std::function<std::string()>& run,
                               std::chrono::milliseconds patience);

// How a process ended.
struct ProcessEnd {
  int signal = 0;     // that killed it, or 0
  int exit_code = 0;  // unless it was killed
  // By SIGKILL, and the kernel has killed for lack of memory while it ran.
  bool out_of_memory = false;

  // "exited with 1", "was killed by SIGKILL".
  std::string Words() const;
};

// How it ended; call after the pidfd became readable.
StatusOr<ProcessEnd> ReapEnd(const ChildProcess& child);
// The same in words.
StatusOr<std::string> Reap(const ChildProcess& child);

// Waits until the pidfd's process has ended (true) or the time is over (false).
StatusOr<bool> WaitForEnd(int pidfd, std::chrono::milliseconds timeout);

// Becomes another program, found in $PATH as a shell would, with this process's
// id, environment and standard streams. Returns only on failure: kFileNotFound
// or kPermissionDenied when it can't be started.
Status ReplaceProcess(const std::vector<std::string>& argv);

// The calling thread gets the processor when nobody else wants it. What can't be
// had is left out.
void RunBehindOthers();

Status SendSignal(const ChildProcess& child, int signal);

// A pidfd of any process; kFileNotFound when there is none.
StatusOr<UniqueFd> OpenPidFd(pid_t pid);

// What the kernel says that a process does, as in `ps`: 'R' running, 'S' sleeping, 'D'
// waiting for a disk, 'T' stopped, 'Z' ended. '?' where it can't be known.
char StateOf(pid_t pid);

// The command of a process as `ps` shows it, or "?" when it can't be read.
std::string CommandOf(pid_t pid);

// The folder that this program was started from, with its last '/'.
std::string ProgramDirectory();

}  // namespace warmset::os

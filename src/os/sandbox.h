// Takes from this process, for good, what a parser of untrusted files needs not.
//
// Three fences, each of which holds if the one before it fails: seccomp (which
// system calls, with which flags), Landlock (no file may be opened by name), and
// resource limits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace warmset::os {

// Sanitizers reserve terabytes of addresses for their shadow, and make system calls
// of their own, for a leak check at the end say.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kSanitized =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool kSanitized = false;
#endif

enum class SandboxProfile {
  // Reads the descriptors that it has or receives, answers on its sockets. It
  // opens nothing by name, writes to no file, makes no process, thread or socket.
  kParser,
  // Besides: opens, lists and stats for reading, and writes to what is open for it.
  kReadOnlyCommand,
};

struct SandboxOptions {
  SandboxProfile profile = SandboxProfile::kParser;
  // Files, and folders with all below them, that kReadOnlyCommand may open. A
  // symlink is only followed to what lies below one of them, too.
  std::vector<std::string> readable_paths = {};
  uint64_t memory_bytes = 0;  // address space, all in all; 0: as it is
  uint64_t open_files = 0;    // 0: as it is
  bool filter_system_calls = true;
};

struct SandboxReport {
  int landlock_abi = 0;  // 0: this kernel has no Landlock, the other fences hold
};

// Enters the sandbox. No core dump is left from then on, and kParser can write no
// byte into a file. REQUIRES: this thread is the process's only one. On error some
// of the fences may be up already: end the process.
StatusOr<SandboxReport> EnterSandbox(const SandboxOptions& options);

// The ABI of the Landlock that this kernel has, from 1 on; an error when it has none.
StatusOr<int> ProbeLandlock();
// Whether this kernel kills a process for a forbidden system call.
Status ProbeSeccomp();

}  // namespace warmset::os

// What `warmset doctor` looks at. No check needs a daemon, none leaves anything
// behind.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/status.h"
#include "table.h"
#include "warmset/v1/session.pb.h"

namespace warmset::cli {

enum class Health { kOk, kWarn, kFail };

// warn: Warmset works, but slower or with less; fail: it does not work.
struct Check {
  std::string name;
  Health health = Health::kOk;
  std::string finding;
  std::string mend;  // what to do, unless ok
};
using Checks = std::vector<Check>;

Check Ok(std::string name, std::string finding);
Check Warn(std::string name, std::string finding, std::string mend);
Check Fail(std::string name, std::string finding, std::string mend);

// Version, huge pages, isolation of readers, io_uring.
void CheckKernel(Checks& checks);
// Memory, locked memory, open files, mappings, inotify.
void CheckLimits(Checks& checks);
// The catalog's folder and the roots.
void CheckFolders(const std::string& home, const std::vector<std::string>& roots, Checks& checks);
// What a daemon says, or why it says nothing.
struct DaemonLook {
  Status answer;  // OK: the rest is known
  pid_t pid = 0;  // of whoever listens; 0: nobody, or not known
  v1::HelloReply hello;
  v1::DaemonStatus status;
};
DaemonLook LookAtDaemon(const std::string& socket_path);
// The socket's folder, the daemon, its own limits, the programs beside this one.
void CheckDaemon(const std::string& socket_path, const DaemonLook& daemon, Checks& checks);
// Whether a Python program can use Warmset.
void CheckPython(Checks& checks);

bool AnyFailed(const Checks& checks);
std::string RenderChecks(const Checks& checks, const Screen& screen);
// {"ok": true, "checks": [{"name", "health", "finding", "mend"}]}.
std::string ChecksJson(const Checks& checks);

}  // namespace warmset::cli

#include "os/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/strong.h"
#include "os/fault.h"
#include "os/syscall_filter.h"
#include "os/unique_fd.h"

namespace warmset::os {
namespace {

// landlock_ruleset_attr as of ABI 6; the headers of Debian 12 know the first field.
struct RulesetAttributes {
  uint64_t files = 0;
  uint64_t network = 0;
  uint64_t scopes = 0;
};

// Every right that this ABI can take away: a new one appears in each of
// https://docs.kernel.org/userspace-api/landlock.html#previous-limitations
RulesetAttributes AllRights(int abi) {
  int file_rights = 13;
  if (abi >= 2) file_rights = 14;  // refer
  if (abi >= 3) file_rights = 15;  // truncate
  if (abi >= 5) file_rights = 16;  // ioctl on devices
  return {.files = (uint64_t{1} << file_rights) - 1,
          .network = abi >= 4 ? uint64_t{0b11} : 0,  // bind and connect over TCP
          .scopes = abi >= 6 ? uint64_t{0b11} : 0};  // abstract sockets, signals
}

Status Limit(__rlimit_resource_t resource, uint64_t most) {
  if (const int fault = InjectedFault("setrlimit")) return ErrnoError(fault, "lower a limit");
  rlimit limit{};
  if (::getrlimit(resource, &limit) != 0) return ErrnoError(errno, "read a limit");
  const rlim_t lowered = std::min<rlim_t>(limit.rlim_max, most);
  limit = {.rlim_cur = lowered, .rlim_max = lowered};
  if (::setrlimit(resource, &limit) != 0) return ErrnoError(errno, "lower a limit");
  return OkStatus();
}

Status LowerLimits(const SandboxOptions& options) {
  RETURN_IF_ERROR(Limit(RLIMIT_CORE, 0));
  if (options.profile == SandboxProfile::kParser) RETURN_IF_ERROR(Limit(RLIMIT_FSIZE, 0));
  if (options.open_files != 0) RETURN_IF_ERROR(Limit(RLIMIT_NOFILE, options.open_files));
  if (options.memory_bytes != 0 && !kSanitized) {
    RETURN_IF_ERROR(Limit(RLIMIT_AS, options.memory_bytes));
  }
  return OkStatus();
}

Status AllowReading(int ruleset, const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "open " + path);
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return ErrnoError(errno, "stat " + path);
  landlock_path_beneath_attr rule{};
  rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE;
  if (S_ISDIR(st.st_mode)) rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
  rule.parent_fd = fd.get();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return ErrnoError(errno, "allow reading of " + path);
  }
  return OkStatus();
}

Status DenyFiles(int abi, const std::vector<std::string>& readable_paths) {
  const RulesetAttributes rights = AllRights(abi);
  const UniqueFd ruleset(static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &rights, sizeof rights, 0)));
  if (!ruleset.valid()) return ErrnoError(errno, "make a Landlock ruleset");
  for (const std::string& path : readable_paths) {
    RETURN_IF_ERROR(AllowReading(ruleset.get(), path));
  }
  const int fault = InjectedFault("landlock_restrict_self");
  if (fault != 0 || ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return ErrnoError(fault != 0 ? fault : errno, "enter the Landlock ruleset");
  }
  return OkStatus();
}

Status DenySystemCalls(SandboxProfile profile, bool beneath) {
  std::vector<sock_filter> filter = MakeSyscallFilter(profile, ::getpid(), beneath);
  const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                           .filter = filter.data()};
  const int fault = InjectedFault("seccomp");
  if (fault != 0 || ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
    return ErrnoError(fault != 0 ? fault : errno, "enter the system call filter");
  }
  return OkStatus();
}

}  // namespace

StatusOr<int> ProbeLandlock() {
  const int fault = InjectedFault("landlock_create_ruleset");
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0,
                             LANDLOCK_CREATE_RULESET_VERSION);
  if (fault != 0 || abi < 1) {
    return ErrnoError(fault != 0 ? fault : errno, "ask for the kernel's Landlock");
  }
  return static_cast<int>(abi);
}

Status ProbeSeccomp() {
  const uint32_t action = SECCOMP_RET_KILL_PROCESS;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
    return ErrnoError(errno, "ask for the kernel's system call filters");
  }
  return OkStatus();
}

StatusOr<SandboxReport> EnterSandbox(const SandboxOptions& options) {
  SandboxReport report;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoError(errno, "give up new privileges");
  }
  if (const auto abi = ProbeLandlock(); abi.ok()) {
    report.landlock_abi = *abi;
    RETURN_IF_ERROR(DenyFiles(*abi, options.readable_paths));
  }
  RETURN_IF_ERROR(LowerLimits(options));
  if (options.filter_system_calls) {
    RETURN_IF_ERROR(DenySystemCalls(options.profile, report.landlock_abi > 0));
  }
  return report;
}

}  // namespace warmset::os

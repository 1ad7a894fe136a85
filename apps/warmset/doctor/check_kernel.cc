#include <cstdio>

#include "doctor/check.h"
#include "fmt/format.h"
#include "os/file.h"
#include "os/probe.h"
#include "os/sandbox.h"

namespace warmset::cli {
namespace {

Check CheckVersion() {
  const std::string release = os::KernelRelease();
  int major = 0;
  int minor = 0;
  std::sscanf(release.c_str(), "%d.%d", &major, &minor);
  const int version = major * 1000 + minor;
  // openat2 came with 5.6, the youngest call that there is no way around.
  if (version < 5006) return Fail("kernel", release, "Linux 5.6 or newer is needed");
  if (version < 6001) {
    return Warn("kernel", release, "Linux 6.1 or newer gives models huge pages");
  }
  return Ok("kernel", release);
}

Check CheckHugePages() {
  constexpr size_t kSysfsBytes = 4096;  // what every file there says that it has
  const auto setting =
      os::ReadSmallFile("/sys/kernel/mm/transparent_hugepage/shmem_enabled", kSysfsBytes);
  std::string chosen = "unknown";
  if (setting.ok()) {
    const size_t open = setting->find('[');
    const size_t close = setting->find(']');
    if (open < close && close != std::string::npos) {
      chosen = setting->substr(open + 1, close - open - 1);
    }
  }
  const Status status = os::ProbeHugePages();
  if (status.ok()) {
    return Ok("huge pages", fmt::format("MADV_COLLAPSE works (shmem_enabled: {})", chosen));
  }
  return Warn("huge pages",
              fmt::format("{} (shmem_enabled: {}); models get 4 KiB pages, which are slower to "
                          "attach",
                          Message(status), chosen),
              chosen == "deny"
                  ? "as root: echo never > /sys/kernel/mm/transparent_hugepage/shmem_enabled"
                  : "use Linux 6.1 or newer with transparent huge pages; if memory is fragmented, "
                    "as root: echo 1 > /proc/sys/vm/compact_memory");
}

Check CheckIsolation() {
  constexpr const char* kName = "isolation";
  if (const Status status = os::ProbeSeccomp(); !status.ok()) {
    return Fail(kName, std::string(Message(status)),
                "models are only read behind a system call filter: use a kernel, or a container's "
                "profile, with seccomp");
  }
  const auto landlock = os::ProbeLandlock();
  if (!landlock.ok()) {
    return Warn(kName,
                fmt::format("seccomp keeps models' readers from the system, Landlock does not: {}",
                            Message(landlock.status())),
                "use Linux 5.13 or newer with `landlock` in its lsm= parameter, and a container's "
                "profile that allows it");
  }
  return Ok(kName, fmt::format("models are read behind seccomp and Landlock (ABI {})", *landlock));
}

Check CheckIoUring() {
  // Nothing to mend: threads read as fast (docs/performance.md).
  const Status status = os::ProbeIoUring();
  return Ok("io_uring", status.ok() ? "works; not needed, threads read"
                                    : fmt::format("{}; not needed, threads read",
                                                  Message(status)));
}

}  // namespace

void CheckKernel(Checks& checks) {
  checks.push_back(CheckVersion());
  checks.push_back(CheckHugePages());
  checks.push_back(CheckIsolation());
  checks.push_back(CheckIoUring());
}

}  // namespace warmset::cli

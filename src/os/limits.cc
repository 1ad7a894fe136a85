#include "os/limits.h"

#include <sys/resource.h>

#include <cerrno>

#include "fmt/format.h"
#include "os/directory.h"
#include "os/fault.h"
#include "os/file.h"

namespace warmset::os {
namespace {

static_assert(RLIM_INFINITY == Limit::kUnlimited);

__rlimit_resource_t Number(Resource resource) {
  return resource == Resource::kOpenFiles ? RLIMIT_NOFILE : RLIMIT_MEMLOCK;
}

}  // namespace

StatusOr<Limit> GetLimit(Resource resource) {
  if (const int fault = InjectedFault("getrlimit")) return ErrnoError(fault, "read a limit");
  rlimit limit{};
  if (::getrlimit(Number(resource), &limit) != 0) return ErrnoError(errno, "read a limit");
  return Limit{.soft = limit.rlim_cur, .hard = limit.rlim_max};
}

StatusOr<uint64_t> OpenFilesLimitOf(pid_t pid) {
  rlimit limit{};
  if (::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit) != 0) {
    return ErrnoError(errno, fmt::format("read the limits of process {}", pid));
  }
  return uint64_t{limit.rlim_cur};
}

StatusOr<uint64_t> CountOpenFilesOf(pid_t pid) {
  ASSIGN_OR_RETURN(const UniqueFd folder, OpenDirectory(fmt::format("/proc/{}/fd", pid)));
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> files, ListDirectory(folder.get()));
  return uint64_t{files.size()};
}

Status RaiseSoftLimit(Resource resource) {
  ASSIGN_OR_RETURN(const Limit limit, GetLimit(resource));
  if (const int fault = InjectedFault("setrlimit")) return ErrnoError(fault, "raise a limit");
  const rlimit raised{.rlim_cur = limit.hard, .rlim_max = limit.hard};
  if (::setrlimit(Number(resource), &raised) != 0) return ErrnoError(errno, "raise a limit");
  return OkStatus();
}

}  // namespace warmset::os

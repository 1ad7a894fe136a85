#include "os/file_names.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "fmt/format.h"
#include "os/fault.h"
#include "os/file.h"

namespace warmset::os {
namespace {

// What a call of the kernel gave, or the fault that a test asked for in its place.
template <typename Call>
Status Try(const char* name, const std::string& action, const Call& call) {
  if (const int fault = InjectedFault(name)) return ErrnoError(fault, action);
  return call() == 0 ? OkStatus() : ErrnoError(errno, action);
}

}  // namespace

Status LinkFile(int fd, const std::string& path) {
  return Try("linkat", "give a file the name " + path, [&] {
    return ::linkat(AT_FDCWD, DescriptorPath(fd).c_str(), AT_FDCWD, path.c_str(),
                    AT_SYMLINK_FOLLOW);
  });
}

Status MakeSymlink(const std::string& text, const std::string& path) {
  return Try("symlink", "link " + path, [&] { return ::symlink(text.c_str(), path.c_str()); });
}

Status RenameOver(const std::string& from, const std::string& to) {
  return Try("rename", fmt::format("rename {} to {}", from, to),
             [&] { return std::rename(from.c_str(), to.c_str()); });
}

Status RemoveName(const std::string& path) {
  return Try("unlink", "remove " + path, [&] {
    const int removed = ::unlink(path.c_str());
    return removed != 0 && errno == ENOENT ? 0 : removed;
  });
}

Status SetMode(int fd, unsigned mode) {
  return Try("fchmod", fmt::format("set a file's mode to {:o}", mode),
             [&] { return ::fchmod(fd, mode); });
}

StatusOr<std::string> NameOfDescriptor(int fd) {
  if (const int fault = InjectedFault("readlink")) return ErrnoError(fault, "name a descriptor");
  std::array<char, PATH_MAX> name{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), name.data(), name.size());
  if (size < 0) return ErrnoError(errno, "name a descriptor");
  return std::string(name.data(), static_cast<size_t>(size));
}

}  // namespace warmset::os

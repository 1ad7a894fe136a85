#include "os/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include "os/fault.h"

namespace warmset::os {
namespace {

FileType TypeOf(mode_t mode) {
  if (S_ISREG(mode)) return FileType::kRegular;
  if (S_ISDIR(mode)) return FileType::kDirectory;
  if (S_ISLNK(mode)) return FileType::kSymlink;
  return FileType::kOther;
}

// Some file systems leave d_type out: then the entry is looked at.
FileType TypeOf(int directory_fd, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return TypeOf(static_cast<mode_t>(DTTOIF(entry.d_type)));
  struct stat st{};
  if (::fstatat(directory_fd, entry.d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) return FileType::kOther;
  return TypeOf(st.st_mode);
}

}  // namespace

StatusOr<std::vector<DirectoryEntry>> ListDirectory(int directory_fd) {
  if (const int fault = InjectedFault("getdents")) return ErrnoError(fault, "list a folder");
  // A descriptor of its own, at the start of the folder: fdopendir takes it over.
  UniqueFd own(::openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own.valid()) return ErrnoError(errno, "list a folder");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
  if (stream == nullptr) return ErrnoError(errno, "list a folder");
  const int fd = own.Release();

  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    entries.push_back({std::string(name), TypeOf(fd, *entry)});
  }
  if (errno != 0) return ErrnoError(errno, "list a folder");
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

StatusOr<PathStat> StatAt(int directory_fd, const std::string& name) {
  if (const int fault = InjectedFault("statx")) return ErrnoError(fault, "stat " + name);
  struct stat st{};
  if (::fstatat(directory_fd, name.c_str(), &st, 0) != 0) return ErrnoError(errno, "stat " + name);
  return PathStat{TypeOf(st.st_mode), IdentityOf(st)};
}

StatusOr<std::string> ReadLinkAt(int directory_fd, const std::string& name) {
  if (const int fault = InjectedFault("readlink")) return ErrnoError(fault, "read link " + name);
  std::string target(PATH_MAX, '\0');
  const ssize_t length = ::readlinkat(directory_fd, name.c_str(), target.data(), target.size());
  if (length < 0) return ErrnoError(errno, "read link " + name);
  target.resize(static_cast<size_t>(length));
  return target;
}

StatusOr<std::string> CanonicalPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr), &::free);
  if (resolved == nullptr) return ErrnoError(errno, "resolve " + path);
  return std::string(resolved.get());
}

}  // namespace warmset::os

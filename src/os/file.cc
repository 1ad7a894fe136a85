#include "os/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "fmt/format.h"
#include "os/fault.h"

namespace warmset::os {
namespace {

int FlagsFor(OpenMode mode) {
  // O_NONBLOCK: opening a FIFO that somebody named like a model must not hang.
  return O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (mode == OpenMode::kDirect ? O_DIRECT : 0);
}

StatusOr<UniqueFd> OpenPath(const std::string& path, int flags) {
  if (const int fault = InjectedFault("open", path)) return ErrnoError(fault, "open " + path);
  UniqueFd fd(::open(path.c_str(), flags));
  if (!fd.valid()) return ErrnoError(errno, "open " + path);
  return fd;
}

// As fstat(), which Debian 12's C library makes a call that could also name a
// file: the sandbox has to refuse that one.
int StatDescriptor(int fd, struct stat& st) {
  return static_cast<int>(::syscall(SYS_fstat, fd, &st));
}

Status RequireRegularFile(int fd, const std::string& name) {
  struct stat st {};
  if (StatDescriptor(fd, st) != 0) return ErrnoError(errno, "stat " + name);
  if (!S_ISREG(st.st_mode)) {
    return Error(ErrorCode::kInvalidRequest, name + " is not a regular file");
  }
  return OkStatus();
}

}  // namespace

FileIdentity IdentityOf(const struct stat& st) {
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  return FileIdentity{
      .device = st.st_dev,
      .inode = st.st_ino,
      .size = static_cast<uint64_t>(st.st_size),
      .mtime_ns = st.st_mtim.tv_sec * kNsPerSecond + st.st_mtim.tv_nsec,
      .ctime_ns = st.st_ctim.tv_sec * kNsPerSecond + st.st_ctim.tv_nsec,
  };
}

bool SameButForCtime(const FileIdentity& a, const FileIdentity& b) {
  return a.device == b.device && a.inode == b.inode && a.size == b.size &&
         a.mtime_ns == b.mtime_ns;
}

StatusOr<UniqueFd> OpenForRead(const std::string& path, OpenMode mode) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenPath(path, FlagsFor(mode)));
  RETURN_IF_ERROR(RequireRegularFile(fd.get(), path));
  return fd;
}

StatusOr<UniqueFd> OpenBeneath(int directory_fd, const std::string& relative_path) {
  if (const int fault = InjectedFault("openat2")) {
    return ErrnoError(fault, "open " + relative_path);
  }
  struct open_how how {};
  how.flags = static_cast<decltype(how.flags)>(FlagsFor(OpenMode::kBuffered));
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  UniqueFd fd(static_cast<int>(
      ::syscall(SYS_openat2, directory_fd, relative_path.c_str(), &how, sizeof how)));
  if (!fd.valid()) {
    if (errno == EXDEV) {
      return Error(ErrorCode::kUnsafeModel,
                   fmt::format("open {}: the path leads out of its folder", relative_path));
    }
    if (errno == ELOOP) {
      return Error(ErrorCode::kCorruptedModel,
                   fmt::format("open {}: its symlinks lead to no file", relative_path));
    }
    if (errno == ENOTDIR || errno == ENAMETOOLONG) {  // nothing can be there
      return Error(ErrorCode::kFileNotFound, fmt::format("open {}: no such file", relative_path));
    }
    return ErrnoError(errno, "open " + relative_path);
  }
  RETURN_IF_ERROR(RequireRegularFile(fd.get(), relative_path));
  return fd;
}

StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  return OpenPath(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
}

std::string DescriptorPath(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

StatusOr<UniqueFd> Reopen(int fd, OpenMode mode) {
  return OpenPath(DescriptorPath(fd), FlagsFor(mode));
}

StatusOr<UniqueFd> Duplicate(int fd) {
  if (const int fault = InjectedFault("dup")) return ErrnoError(fault, "duplicate a descriptor");
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return ErrnoError(errno, "duplicate a descriptor");
  return copy;
}

Status CheckReadableFile(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return ErrnoError(errno, "inspect a descriptor");
  if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) != 0) {
    return Error(ErrorCode::kInvalidRequest, "the passed file is not open for reading");
  }
  return RequireRegularFile(fd, "the passed file");
}

StatusOr<FileIdentity> Identify(int fd) {
  if (const int fault = InjectedFault("fstat")) return ErrnoError(fault, "stat a file");
  struct stat st {};
  if (StatDescriptor(fd, st) != 0) return ErrnoError(errno, "stat a file");
  return IdentityOf(st);
}

uint64_t KnownDeviceOf(int fd) {
  struct statx st {};
  const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (::statx(fd, "", flags, STATX_INO, &st) != 0) return 0;
  return makedev(st.stx_dev_major, st.stx_dev_minor);
}

StatusOr<uint64_t> CountLinks(int fd) {
  struct stat st {};
  if (StatDescriptor(fd, st) != 0) return ErrnoError(errno, "stat a file");
  return st.st_nlink;
}

StatusOr<uint64_t> BytesOnDisk(int fd) {
  constexpr uint64_t kBlock = 512;  // of st_blocks, whatever the filesystem's are
  struct stat st{};
  if (const int fault = InjectedFault("fstat")) return ErrnoError(fault, "stat a file");
  if (StatDescriptor(fd, st) != 0) return ErrnoError(errno, "stat a file");
  return static_cast<uint64_t>(st.st_blocks) * kBlock;
}

StatusOr<FileIdentity> IdentifyPath(const std::string& path) {
  if (const int fault = InjectedFault("stat", path)) return ErrnoError(fault, "stat " + path);
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0) return ErrnoError(errno, "stat " + path);
  return IdentityOf(st);
}

bool IsOnLocalFilesystem(const std::string& path) {
  // Of the kernel's magic.h and the filesystems' own sources.
  constexpr std::array<uint32_t, 9> kRemote = {
      0x6969,      // NFS
      0x517B,      // SMB
      0xFE534D42,  // SMB2
      0xFF534D42,  // CIFS
      0x65735546,  // FUSE
      0x01021997,  // 9P
      0x00C36400,  // Ceph
      0x5346414F,  // AFS
      0x0BD00BD0,  // Lustre
  };
  if (InjectedFault("statfs", path) != 0) return false;
  struct statfs filesystem {};
  if (::statfs(path.c_str(), &filesystem) != 0) return false;
  return std::find(kRemote.begin(), kRemote.end(), static_cast<uint32_t>(filesystem.f_type)) ==
         kRemote.end();
}

StatusOr<size_t> ReadAt(int fd, std::span<std::byte> buffer, uint64_t offset) {
  size_t done = 0;
  while (done < buffer.size()) {
    if (const int fault = InjectedFault("pread")) {
      return AtOffset(ErrnoError(fault, fmt::format("read at offset {}", offset + done)),
                      offset + done);
    }
    const ssize_t got = ::pread(fd, buffer.data() + done, buffer.size() - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return AtOffset(ErrnoError(errno, fmt::format("read at offset {}", offset + done)),
                      offset + done);
    }
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

Status ReadExactly(int fd, std::span<std::byte> buffer, uint64_t offset) {
  ASSIGN_OR_RETURN(const size_t got, ReadAt(fd, buffer, offset));
  if (got != buffer.size()) {
    return Error(ErrorCode::kCorruptedModel,
                 fmt::format("the file ends at offset {}, {} bytes before what its header says",
                             offset + got, buffer.size() - got));
  }
  return OkStatus();
}

StatusOr<std::string> ReadSmallFile(int fd, size_t max_bytes) {
  ASSIGN_OR_RETURN(const FileIdentity identity, Identify(fd));
  if (identity.size > max_bytes) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("the file has {} bytes, at most {} are read", identity.size,
                             max_bytes));
  }
  // Files under /proc say size 0, so read until the end within the limit.
  std::string content(identity.size == 0 ? max_bytes : identity.size, '\0');
  ASSIGN_OR_RETURN(const size_t got,
                   ReadAt(fd, std::as_writable_bytes(std::span(content)), 0));
  content.resize(got);
  return content;
}

StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes) {
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenForRead(path));
  auto content = ReadSmallFile(fd.get(), max_bytes);
  if (!content.ok()) return Annotate(content.status(), "read " + path);
  return content;
}

Status WriteAt(int fd, std::span<const std::byte> data, uint64_t offset) {
  size_t done = 0;
  while (done < data.size()) {
    if (const int fault = InjectedFault("pwrite")) return ErrnoError(fault, "write");
    const ssize_t put = ::pwrite(fd, data.data() + done, data.size() - done,
                                 static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoError(errno, "write");
    done += static_cast<size_t>(put);
  }
  return OkStatus();
}

Status ReplaceFile(const std::string& path, std::string_view content, unsigned mode) {
  const std::string temporary = path + ".new";
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.valid()) return ErrnoError(errno, "create " + temporary);
  RETURN_IF_ERROR(
      Annotate(WriteAt(fd.get(), std::as_bytes(std::span(content)), 0), "write " + temporary));
  const int fault = InjectedFault("fsync");
  if (fault != 0 || ::fsync(fd.get()) != 0) {
    return ErrnoError(fault != 0 ? fault : errno, "fsync " + temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, "rename " + path);
  ASSIGN_OR_RETURN(const UniqueFd folder,
                   OpenDirectory(std::filesystem::path(path).parent_path().string()));
  if (::fsync(folder.get()) != 0) return ErrnoError(errno, "fsync the folder of " + path);
  return OkStatus();
}

Status MakePrivateDirectory(const std::string& path) {
  std::error_code error;
  const auto parent = std::filesystem::path(path).parent_path();
  std::filesystem::create_directories(parent, error);
  if (error) return ErrnoError(error.value(), "create " + parent.string());
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoError(errno, "create " + path);
  }
  return CheckPrivateDirectory(path);
}

Status CheckPrivateDirectory(const std::string& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return ErrnoError(errno, "stat " + path);
  if (!S_ISDIR(st.st_mode) || st.st_uid != ::geteuid() || (st.st_mode & 0022) != 0) {
    return Error(ErrorCode::kPermissionDenied,
                 path + " is not a folder of this user that only this user may write to; remove "
                        "it or choose another place");
  }
  return OkStatus();
}

StatusOr<UniqueFd> LockFile(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  // A folder that can't be written to any more may have the file.
  if (!fd.valid()) fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return ErrnoError(errno, "lock " + path);
    return Error(ErrorCode::kAlreadyRunning,
                 fmt::format("another daemon uses {}; choose another --home, or stop it with "
                             "`warmset shutdown`",
                             path));
  }
  return fd;
}

}  // namespace warmset::os

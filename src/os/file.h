// Files: opening, identity, reading and atomic replacement.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "os/unique_fd.h"

struct stat;

namespace warmset::os {

// What tells one state of a file from another without reading it.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;

  friend auto operator<=>(const FileIdentity&, const FileIdentity&) = default;
};

// True when content may be assumed equal: all but ctime agree. A changed ctime
// alone (chmod, link, or an mtime put back) asks for verification by digest.
bool SameButForCtime(const FileIdentity& a, const FileIdentity& b);

FileIdentity IdentityOf(const struct stat& st);

enum class OpenMode {
  kBuffered,
  kDirect,  // O_DIRECT; kIoError with EINVAL where the file system has none
};

// Opens a regular file for reading; anything else (directory, FIFO, device) is
// kInvalidRequest. Never blocks on a FIFO. Follows symlinks.
StatusOr<UniqueFd> OpenForRead(const std::string& path, OpenMode mode = OpenMode::kBuffered);

// Like OpenForRead, for a path below directory_fd that may come from anywhere;
// kUnsafeModel if a component of it, symlinks included, leads out (openat2
// RESOLVE_BENEATH), kCorruptedModel for symlinks in a circle.
StatusOr<UniqueFd> OpenBeneath(int directory_fd, const std::string& relative_path);

// Opens a directory itself, to be used with OpenBeneath.
StatusOr<UniqueFd> OpenDirectory(const std::string& path);

// A second, independent open file description of what fd refers to, through
// /proc/self/fd. Fails with kPermissionDenied where the user may not open it.
StatusOr<UniqueFd> Reopen(int fd, OpenMode mode);

// A path by which this process can open or stat what fd refers to.
std::string DescriptorPath(int fd);

// Another descriptor of the same open file description, close-on-exec.
StatusOr<UniqueFd> Duplicate(int fd);

// kInvalidRequest unless fd is a regular file opened for reading.
Status CheckReadableFile(int fd);

StatusOr<FileIdentity> Identify(int fd);
// The device that fd's file is on, as FileIdentity has it, without asking a server; 0 where
// it can't be known.
uint64_t KnownDeviceOf(int fd);
// How many names the file has.
StatusOr<uint64_t> CountLinks(int fd);
// How many bytes of it lie on its disk: fewer than its size where it has holes, or where
// the filesystem compresses.
StatusOr<uint64_t> BytesOnDisk(int fd);
// Whether looking at the path asks this machine alone, so that it takes
// microseconds; false where that is not known.
bool IsOnLocalFilesystem(const std::string& path);

StatusOr<FileIdentity> IdentifyPath(const std::string& path);

// Reads up to buffer.size() bytes at offset; fewer only at the end of the file.
StatusOr<size_t> ReadAt(int fd, std::span<std::byte> buffer, uint64_t offset);
// kCorruptedModel when the file ends before the buffer is full.
Status ReadExactly(int fd, std::span<std::byte> buffer, uint64_t offset);
// The whole file; kInvalidRequest when it is larger than max_bytes.
StatusOr<std::string> ReadSmallFile(const std::string& path, size_t max_bytes);
StatusOr<std::string> ReadSmallFile(int fd, size_t max_bytes);

// Writes all of data at offset.
Status WriteAt(int fd, std::span<const std::byte> data, uint64_t offset);

// Makes path hold content, or leaves what was there: a temporary file in the
// same folder is written, fsynced, renamed over path, and the folder fsynced.
Status ReplaceFile(const std::string& path, std::string_view content, unsigned mode);

// Creates the folder and its parents, mode 0700; one that is there already must
// pass CheckPrivateDirectory.
Status MakePrivateDirectory(const std::string& path);
// kPermissionDenied unless path is a folder (no symlink) that belongs to this
// user and that no other may write to; kFileNotFound when there is none.
Status CheckPrivateDirectory(const std::string& path);

// Creates the file if need be and locks it until the descriptor is closed or the
// process ends. kAlreadyRunning when another process has the lock.
StatusOr<UniqueFd> LockFile(const std::string& path);

}  // namespace warmset::os

#include "os/tmpfs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include "os/fault.h"

namespace warmset::os {
namespace {

constexpr const char* kAccessList = "system.posix_acl_access";

// Of linux/posix_acl_xattr.h and linux/posix_acl.h, in the kernel's byte order
// (little-endian on disk, as on every machine that Warmset runs on).
struct AclEntry {
  uint16_t tag;
  uint16_t permissions;
  uint32_t id;
};
struct AclHeader {
  uint32_t version;
};
constexpr uint32_t kAclVersion = 2;
constexpr uint32_t kNoId = ~uint32_t{0};
constexpr uint16_t kOwner = 0x01;
constexpr uint16_t kUser = 0x02;
constexpr uint16_t kGroup = 0x04;
constexpr uint16_t kMask = 0x10;
constexpr uint16_t kOthers = 0x20;
constexpr uint16_t kReadAndEnter = 5;
constexpr uint16_t kAll = 7;

}  // namespace

bool IsTmpfs(const std::string& folder) {
  struct statfs filesystem{};
  return ::statfs(folder.c_str(), &filesystem) == 0 && filesystem.f_type == TMPFS_MAGIC;
}

StatusOr<ByteCount> FreeBytes(const std::string& folder) {
  const std::string action = "look at the room in " + folder;
  if (const int fault = InjectedFault("statvfs")) return ErrnoError(fault, action);
  struct statvfs filesystem{};
  if (::statvfs(folder.c_str(), &filesystem) != 0) return ErrnoError(errno, action);
  // A tmpfs without a limit says that it has no blocks at all.
  if (filesystem.f_blocks == 0) return ByteCount(~uint64_t{0});
  return ByteCount(filesystem.f_bavail * filesystem.f_frsize);
}

StatusOr<UniqueFd> OpenUnnamed(const std::string& folder) {
  const std::string action = "create a file in " + folder;
  if (const int fault = InjectedFault("open_unnamed")) return ErrnoError(fault, action);
  UniqueFd fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd.valid()) return ErrnoError(errno, action);
  return fd;
}

Status AllowUsers(const std::string& folder, const std::vector<uid_t>& users) {
  const std::string action = "let other users enter " + folder;
  if (const int fault = InjectedFault("setxattr")) return ErrnoError(fault, action);
  if (users.empty()) {
    if (::removexattr(folder.c_str(), kAccessList) == 0) return OkStatus();
    return errno == ENODATA || errno == ENOTSUP ? OkStatus() : ErrnoError(errno, action);
  }
  std::vector<uid_t> sorted = users;  // as the kernel wants them
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  std::vector<AclEntry> entries = {{kOwner, kAll, kNoId}};
  for (const uid_t user : sorted) entries.push_back({kUser, kReadAndEnter, user});
  entries.push_back({kGroup, 0, kNoId});
  entries.push_back({kMask, kReadAndEnter, kNoId});
  entries.push_back({kOthers, 0, kNoId});
  const AclHeader header{kAclVersion};
  std::string list(reinterpret_cast<const char*>(&header), sizeof header);
  list.append(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(AclEntry));
  if (::setxattr(folder.c_str(), kAccessList, list.data(), list.size(), 0) != 0) {
    return ErrnoError(errno, action);
  }
  return OkStatus();
}

}  // namespace warmset::os

#include "os/memory_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "fmt/format.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/file_names.h"
#include "os/huge_pages.h"
#include "os/tmpfs.h"

namespace warmset::os {
namespace {

constexpr unsigned kReadByOwner = 0400;

std::string& EntryMemoryTag() {
  static auto* tag = new std::string;
  return *tag;
}

Status SetSize(int fd, uint64_t bytes) {
  const std::string action = fmt::format("set a memory file to {} bytes", bytes);
  if (const int fault = InjectedFault("ftruncate")) return ErrnoError(fault, action);
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) return ErrnoError(errno, action);
  return OkStatus();
}

}  // namespace

std::string EntryMemoryName() {
  const std::string& tag = EntryMemoryTag();
  return tag.empty() ? "warmset-entry" : "warmset-entry-" + tag;
}

void SetEntryMemoryTag(std::string_view tag) { EntryMemoryTag() = tag; }

StatusOr<MemoryFile> MemoryFile::Create(std::string_view name, uint64_t bytes) {
  if (const int fault = InjectedFault("memfd_create")) {
    return ErrnoError(fault, "create a memory file");
  }
  MemoryFile file;
  file.fd_.Reset(::memfd_create(std::string(name).c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.fd_.valid()) return ErrnoError(errno, "create a memory file");
  RETURN_IF_ERROR(SetSize(file.fd(), bytes));
  file.size_ = bytes;
  ASSIGN_OR_RETURN(file.writable_,
                   Mapping::Create(file.fd(), bytes, Mapping::Kind::kSharedReadWrite));
  return file;
}

StatusOr<MemoryFile> MemoryFile::CreateOnTmpfs(const std::string& folder, uint64_t bytes,
                                               const std::stop_token& stop) {
  MemoryFile file;
  file.on_tmpfs_ = true;
  ASSIGN_OR_RETURN(file.fd_, OpenUnnamed(folder));
  RETURN_IF_ERROR(SetSize(file.fd(), bytes));
  file.size_ = bytes;
  ASSIGN_OR_RETURN(file.writable_,
                   Mapping::Create(file.fd(), bytes, Mapping::Kind::kSharedReadWrite));
  RETURN_IF_ERROR(AllocateMemory(file.writable_.span(), stop));
  return file;
}

StatusOr<MemoryFile> MemoryFile::Guard(const std::string& path) {
  MemoryFile file;
  file.on_tmpfs_ = true;
  ASSIGN_OR_RETURN(file.fd_, OpenForRead(path));
  ASSIGN_OR_RETURN(const FileIdentity identity, Identify(file.fd()));
  file.size_ = identity.size;
  RETURN_IF_ERROR(file.GuardFile());
  // A second look, now that nobody writes it unseen.
  RETURN_IF_ERROR(ReadOnlySize(file.fd()).status());
  return file;
}

Status MemoryFile::GuardFile() {
  writable_ = Mapping();
  RETURN_IF_ERROR(SetMode(fd(), kReadByOwner));
  // The kernel gives no lease on what a descriptor could still write.
  ASSIGN_OR_RETURN(fd_, Reopen(fd(), OpenMode::kBuffered));
  ASSIGN_OR_RETURN(lease_, FileLease::Take(fd()));
  return OkStatus();
}

Status MemoryFile::Resize(uint64_t bytes) {
  if (bytes == size_) return OkStatus();
  RETURN_IF_ERROR(SetSize(fd(), bytes));
  size_ = bytes;
  ASSIGN_OR_RETURN(writable_, Mapping::Create(fd(), bytes, Mapping::Kind::kSharedReadWrite));
  return OkStatus();
}

Status MemoryFile::Seal() {
  if (guarded()) return OkStatus();
  if (on_tmpfs_) return GuardFile();
  if (const int fault = InjectedFault("fcntl_seal")) return ErrnoError(fault, "seal a memory file");
  writable_ = Mapping();
  // With the only writable mapping gone, not even this process can change what
  // clients see. F_SEAL_WRITE would say the same, but before Linux 6.7 it also
  // refuses shared read-only mappings of the passed descriptor.
  constexpr int kSeals = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (::fcntl(fd(), F_ADD_SEALS, kSeals) != 0) return ErrnoError(errno, "seal a memory file");
  sealed_ = true;
  return OkStatus();
}

StatusOr<MemoryFile> MakeSealedFile(std::string_view name, std::span<const std::byte> content) {
  ASSIGN_OR_RETURN(MemoryFile file, MemoryFile::Create(name, content.size()));
  std::copy(content.begin(), content.end(), file.writable().data());
  RETURN_IF_ERROR(file.Seal());
  return file;
}

StatusOr<uint64_t> ReadOnlySize(int fd) {
  auto sealed = SealedSize(fd);
  if (sealed.ok()) return sealed;
  constexpr mode_t kWrite = S_IWUSR | S_IWGRP | S_IWOTH;
  struct stat st{};
  struct statfs filesystem{};
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fstat(fd, &st) != 0 || ::fstatfs(fd, &filesystem) != 0) {
    return ErrnoError(errno, "look at a memory file");
  }
  if ((flags & O_ACCMODE) != O_RDONLY || !S_ISREG(st.st_mode) || (st.st_mode & kWrite) != 0 ||
      filesystem.f_type != TMPFS_MAGIC) {
    return Error(ErrorCode::kInvalidRequest,
                 "a descriptor is neither of a sealed memory file nor of a guarded one");
  }
  return static_cast<uint64_t>(st.st_size);
}

StatusOr<uint64_t> SealedSize(int fd) {
  constexpr int kSize = F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = ::fcntl(fd, F_GET_SEALS);  // EINVAL for what is not a memfd
  if (seals < 0 || (seals & kSize) != kSize ||
      (seals & (F_SEAL_FUTURE_WRITE | F_SEAL_WRITE)) == 0) {
    return Error(ErrorCode::kInvalidRequest, "a descriptor is not of a sealed memory file");
  }
  struct stat st{};
  if (::fstat(fd, &st) != 0) return ErrnoError(errno, "look at a memory file");
  return static_cast<uint64_t>(st.st_size);
}

}  // namespace warmset::os

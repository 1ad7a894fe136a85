#include "os/probe.h"

#include <liburing.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/strong.h"
#include "os/file.h"
#include "os/memory_file.h"

namespace warmset::os {

Status ProbeHugePages() {
  constexpr int kMadvCollapse = 25;  // since Linux 6.1; not in Debian 12's headers
  ASSIGN_OR_RETURN(const MemoryFile file, MemoryFile::Create("warmset-probe", 2 * kMiB));
  std::byte* const memory = file.writable().data();
  *memory = std::byte{1};  // an untouched range can't be collapsed
  if (::madvise(memory, 2 * kMiB, kMadvCollapse) != 0) {
    return ErrnoError(errno, "madvise(MADV_COLLAPSE)");
  }
  return OkStatus();
}

Status ProbeIoUring() {
  io_uring ring{};
  if (const int result = ::io_uring_queue_init(8, &ring, 0); result < 0) {
    return ErrnoError(-result, "io_uring_queue_init");
  }
  ::io_uring_queue_exit(&ring);
  return OkStatus();
}

Status ProbeDirectRead(const std::string& path) {
  struct alignas(4096) Block {
    std::byte bytes[4096];
  };
  ASSIGN_OR_RETURN(const UniqueFd fd, OpenForRead(path, OpenMode::kDirect));
  const auto block = std::make_unique<Block>();
  return ReadAt(fd.get(), block->bytes, 0).status();
}

bool MayWrite(const std::string& folder) { return ::access(folder.c_str(), W_OK | X_OK) == 0; }

std::string KernelRelease() {
  utsname name{};
  ::uname(&name);
  return name.release;
}

}  // namespace warmset::os

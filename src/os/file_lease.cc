#include "os/file_lease.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "os/fault.h"
#include "os/file.h"

namespace warmset::os {
namespace {

int SetLease(int fd, int kind) {
  if (const int fault = InjectedFault("fcntl_lease")) return fault;
  return ::fcntl(fd, F_SETLEASE, kind) == 0 ? 0 : errno;
}

}  // namespace

StatusOr<FileLease> FileLease::Take(int fd) {
  FileLease lease;
  ASSIGN_OR_RETURN(lease.fd_, Reopen(fd, OpenMode::kBuffered));
  // The signal is for the process: the thread may end before it comes.
  if (::fcntl(lease.fd_.get(), F_SETOWN, ::getpid()) != 0) {
    return ErrnoError(errno, "own a file's signals");
  }
  // A child that is being started holds copies of all descriptors until its exec(), one
  // that was open for writing too.
  constexpr int kTries = 50;
  constexpr std::chrono::milliseconds kPause{2};
  for (int i = 0; i < kTries; ++i) {
    const int error = SetLease(lease.fd_.get(), F_RDLCK);
    if (error == 0) return lease;
    if (error != EAGAIN) return ErrnoError(error, "take a lease on a file");
    std::this_thread::sleep_for(kPause);
  }
  return Error(ErrorCode::kInUse, "a program has the file open for writing");
}

bool FileLease::broken() const { return fd_.valid() && ::fcntl(fd_.get(), F_GETLEASE) != F_RDLCK; }

void FileLease::Yield() const {
  if (fd_.valid()) (void)SetLease(fd_.get(), F_UNLCK);
}

}  // namespace warmset::os

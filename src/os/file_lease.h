// A read lease on a file: the kernel reports who opens it for writing.
#pragma once

#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

// While it lives, a program that opens the file for writing or truncates it, root's
// too, makes this process get SIGIO and waits until Yield() is called, at most
// /proc/sys/fs/lease-break-time seconds (fcntl(2), F_SETLEASE). The process must have
// blocked SIGIO in all its threads, see MakeSignalFd(). Move-only, thread-safe.
class FileLease {
 public:
  FileLease() = default;

  // fd is any descriptor of the file. kInUse when a program has it open for writing;
  // kPermissionDenied for another user's file; kIoError where there are no leases.
  static StatusOr<FileLease> Take(int fd);

  bool taken() const { return fd_.valid(); }
  // A program waits to write the file, or has waited too long and may do so now.
  bool broken() const;
  // Lets it go on: from now on nobody is reported.
  void Yield() const;

 private:
  // A lease belongs to the open file description that it was taken on: this one is
  // never passed to another process.
  UniqueFd fd_;
};

}  // namespace warmset::os

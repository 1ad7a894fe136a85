// Fault injection behind every system call of this room.
//
// A test arms a plan; the n-th matching call then fails with the given errno
// without reaching the kernel. Unarmed, the cost is one relaxed atomic load.
// Thread-safe.
#pragma once

#include <atomic>
#include <string_view>

namespace warmset::os {

struct FaultPlan {
  std::string_view call;  // "pread", "ftruncate", ...; must outlive the plan
  int nth = 1;            // which matching call fails first, from 1
  int error_number = 0;   // the errno that it fails with
  bool keep_failing = false;
  // Instead of failing, as on a server that does not answer: a matching call waits until
  // DisarmFault() and then goes on.
  bool hangs = false;
  std::string_view path = {};  // only calls on paths with this in them, where given
};

void ArmFault(const FaultPlan& plan);
// Ends the plan; returns how many calls were made to fail.
int DisarmFault();

namespace internal {
extern std::atomic<bool> fault_armed;
int FaultFor(std::string_view call, std::string_view path);
}  // namespace internal

// The errno that this call must fail with, 0 to go on. `path` is what it is called on,
// where that is known.
inline int InjectedFault(std::string_view call, std::string_view path = {}) {
  return internal::fault_armed.load(std::memory_order_relaxed) ? internal::FaultFor(call, path) : 0;
}

}  // namespace warmset::os

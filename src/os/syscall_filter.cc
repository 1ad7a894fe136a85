#include "os/syscall_filter.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace warmset::os {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "The system call filter knows x86-64 and aarch64."
#endif

constexpr uint32_t kRefuse = SECCOMP_RET_ERRNO | EACCES;

// Calls that are allowed whatever their arguments are.
constexpr uint32_t kParserCalls[] = {
    // Input and output on descriptors.
    SYS_pread64, SYS_recvmsg, SYS_sendmsg, SYS_read, SYS_fstat, SYS_close,
    // Memory, without making any of it executable.
    SYS_munmap, SYS_mremap, SYS_brk, SYS_madvise,
    // What the C and C++ libraries need in any program.
    SYS_futex, SYS_sched_yield, SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom, SYS_getrusage,
    SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_restart_syscall, SYS_getpid, SYS_gettid, SYS_exit,
    SYS_exit_group};
constexpr uint32_t kCommandCalls[] = {
#if defined(SYS_stat)
    SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_poll,
#endif
    SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getdents64,
    SYS_lseek, SYS_getcwd, SYS_fadvise64, SYS_write, SYS_writev, SYS_ppoll};
// What libraries probe for, with another way when it fails: a lock-free size of
// the heap, the number of cores, a terminal, the standard error.
constexpr uint32_t kRefusedCalls[] = {
#if defined(SYS_open)
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink,
#endif
    SYS_openat, SYS_openat2, SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2,
    SYS_readlinkat, SYS_write, SYS_writev, SYS_ioctl, SYS_fcntl, SYS_uname, SYS_sysinfo,
    SYS_sched_getaffinity, SYS_prlimit64};

constexpr uint32_t kWritingFlags = O_ACCMODE | O_CREAT | O_TRUNC;

// Assembles the program rule by rule. Before each, the accumulator has the call's
// number; rules are tried in order.
class FilterBuilder {
 public:
  FilterBuilder() {
    Load(offsetof(seccomp_data, arch));
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
    Return(SECCOMP_RET_KILL_PROCESS);
    Load(offsetof(seccomp_data, nr));
  }

  void Add(std::span<const uint32_t> calls, uint32_t action) {
    for (const uint32_t call : calls) {
      program_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
      Return(action);
    }
  }

  // Allowed if (argument & mask) == value. Only for arguments of which the kernel
  // looks at no more than 32 bits.
  void AllowIf(uint32_t call, unsigned argument, uint32_t mask, uint32_t value) {
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 5));
    Load(static_cast<uint32_t>(offsetof(seccomp_data, args) + argument * sizeof(uint64_t)));
    program_.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
    Return(SECCOMP_RET_ALLOW);
    Load(offsetof(seccomp_data, nr));
  }

  std::vector<sock_filter> Finish() && {
    Return(SECCOMP_RET_KILL_PROCESS);
    return std::move(program_);
  }

 private:
  // The low half of a field: both architectures are little-endian.
  void Load(uint32_t offset) {
    program_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
  }
  void Return(uint32_t action) { program_.push_back(BPF_STMT(BPF_RET | BPF_K, action)); }

  std::vector<sock_filter> program_;
};

}  // namespace

std::vector<sock_filter> MakeSyscallFilter(SandboxProfile profile, pid_t own_pid, bool beneath) {
  constexpr uint32_t kWhole = ~uint32_t{0};
  FilterBuilder filter;
  filter.Add(kParserCalls, SECCOMP_RET_ALLOW);
  filter.AllowIf(SYS_mmap, 2, PROT_EXEC, 0);
  filter.AllowIf(SYS_mprotect, 2, PROT_EXEC, 0);
  filter.AllowIf(SYS_fcntl, 1, kWhole, F_GETFL);
  filter.AllowIf(SYS_fcntl, 1, kWhole, F_DUPFD_CLOEXEC);
  filter.AllowIf(SYS_tgkill, 0, kWhole, static_cast<uint32_t>(own_pid));  // abort()
  if (profile == SandboxProfile::kReadOnlyCommand) {
    filter.Add(kCommandCalls, SECCOMP_RET_ALLOW);
#if defined(SYS_open)
    filter.AllowIf(SYS_open, 1, kWritingFlags, 0);
#endif
    filter.AllowIf(SYS_openat, 2, kWritingFlags, 0);
    if (beneath) filter.Add({{SYS_openat2}}, SECCOMP_RET_ALLOW);
    filter.AllowIf(SYS_fcntl, 1, kWhole, F_SETFD);  // fdopendir()
    filter.AllowIf(SYS_ioctl, 1, kWhole, TCGETS);
    filter.AllowIf(SYS_ioctl, 1, kWhole, TIOCGWINSZ);
  }
  filter.Add(kRefusedCalls, kRefuse);
  return std::move(filter).Finish();
}

}  // namespace warmset::os

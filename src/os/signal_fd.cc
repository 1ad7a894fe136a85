#include "os/signal_fd.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace warmset::os {

StatusOr<UniqueFd> MakeSignalFd(std::span<const int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return ErrnoError(errno, "create a signalfd");
  return fd;
}

int TakeSignal(int signal_fd) {
  signalfd_siginfo info{};
  if (::read(signal_fd, &info, sizeof info) != sizeof info) return 0;
  return static_cast<int>(info.ssi_signo);
}

bool IsIgnored(int signal) {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

namespace {

// Whether each had its default before.
bool g_file_size_ignored = false;
bool g_pipe_ignored = false;

}  // namespace

void IgnoreFileSizeSignal() { g_file_size_ignored |= ::signal(SIGXFSZ, SIG_IGN) == SIG_DFL; }
void IgnorePipeSignal() { g_pipe_ignored |= ::signal(SIGPIPE, SIG_IGN) == SIG_DFL; }

void internal::RestoreIgnoredSignals() {
  if (g_file_size_ignored) ::signal(SIGXFSZ, SIG_DFL);
  if (g_pipe_ignored) ::signal(SIGPIPE, SIG_DFL);
}

}  // namespace warmset::os

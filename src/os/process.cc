#include "os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#include "fmt/format.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/signal_fd.h"
#include "os/system_memory.h"
#include "os/unix_socket.h"

namespace warmset::os {
namespace {

// As exec takes them; valid as long as argv.
// Of two variables with one name, programs see the first.
std::vector<char*> RawEnvironment(const std::vector<std::string>& variables) {
  std::vector<char*> raw;
  for (const std::string& variable : variables) raw.push_back(const_cast<char*>(variable.c_str()));
  for (char** variable = ::environ; *variable != nullptr; ++variable) raw.push_back(*variable);
  raw.push_back(nullptr);
  return raw;
}

std::vector<char*> RawArguments(const std::vector<std::string>& argv) {
  std::vector<char*> raw;
  for (const std::string& arg : argv) raw.push_back(const_cast<char*>(arg.c_str()));
  raw.push_back(nullptr);
  return raw;
}

// Between fork and exec: only async-signal-safe calls.
[[noreturn]] void ExecChild(char* const* argv, char* const* environment,
                            const std::vector<std::pair<int, int>>& fds) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  internal::RestoreIgnoredSignals();
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Above every target first, so that no pair overwrites another's source; not further, as
  // there may be a limit (ulimit -n).
  int above = 0;
  for (const auto& [from, to] : fds) above = std::max(above, to + 1);
  for (const auto& [from, to] : fds) {
    const int parked = ::fcntl(from, F_DUPFD, above);
    if (parked < 0 || ::dup2(parked, to) < 0) ::_exit(127);
    ::close(parked);
  }
  ::execve(argv[0], argv, environment);
  ::_exit(127);
}

// Whether a folder of $PATH that can be looked into has it.
bool IsOnPath(const std::string& program) {
  const char* const path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/bin:/usr/bin";
  while (true) {
    const size_t colon = rest.find(':');
    const std::string folder(rest.substr(0, colon));
    if (::access(((folder.empty() ? "." : folder) + "/" + program).c_str(), F_OK) == 0) return true;
    if (colon == std::string_view::npos) return false;
    rest.remove_prefix(colon + 1);
  }
}

}  // namespace

StatusOr<ChildProcess> Spawn(const std::vector<std::string>& argv,
                             const std::vector<std::pair<int, int>>& fds,
                             const std::vector<std::string>& variables) {
  if (::access(argv[0].c_str(), X_OK) != 0) return ErrnoError(errno, "start " + argv[0]);
  if (const int fault = InjectedFault("fork")) return ErrnoError(fault, "start " + argv[0]);
  const std::vector<char*> raw_argv = RawArguments(argv);
  const std::vector<char*> environment = RawEnvironment(variables);
  const uint64_t oom_kills = OomKills();
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoError(errno, "start " + argv[0]);
  if (pid == 0) ExecChild(raw_argv.data(), environment.data(), fds);
  ChildProcess child{pid, UniqueFd(), oom_kills};
  ASSIGN_OR_RETURN(child.pidfd, OpenPidFd(pid));
  return child;
}

StatusOr<ChildProcess> Fork(const std::function<int()>& run) {
  if (const int fault = InjectedFault("fork")) return ErrnoError(fault, "copy this process");
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoError(errno, "copy this process");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(run());
  }
  ChildProcess child{pid, UniqueFd(), OomKills()};
  ASSIGN_OR_RETURN(child.pidfd, OpenPidFd(pid));
  return child;
}

StatusOr<std::string> AnswerOf(const std::function<std::string()>& run,
                               std::chrono::milliseconds patience) {
  ASSIGN_OR_RETURN(auto ends, MakeSocketPair());
  ASSIGN_OR_RETURN(const ChildProcess child, Fork([&] {
                     // Whoever reads what this process prints must not wait for the copy.
                     for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(fd);
                     const std::string answer = run();
                     const auto sent =
                         SendWithFds(ends.second.get(), std::as_bytes(std::span(answer)), {});
                     return sent.ok() ? 0 : 1;
                   }));
  ends.second.Reset();
  ASSIGN_OR_RETURN(const bool answered,
                   WaitForSocket(ends.first.get(), SocketEvent::kReadable, patience));
  if (!answered) {
    (void)SendSignal(child, SIGKILL);
    return Error(ErrorCode::kTimeout,
                 fmt::format("no answer for {:g} s", static_cast<double>(patience.count()) / 1000));
  }
  std::string answer(size_t{64} << 10, '\0');
  std::vector<UniqueFd> none;
  ASSIGN_OR_RETURN(
      const Received received,
      ReceiveWithFds(ends.first.get(), std::as_writable_bytes(std::span(answer)), none));
  answer.resize(received.bytes);
  (void)::waitpid(child.pid, nullptr, 0);
  if (answer.empty()) return Error(ErrorCode::kInternal, "it ended without an answer");
  return answer;
}

std::string ProcessEnd::Words() const {
  if (signal == 0) return fmt::format("exited with {}", exit_code);
  return fmt::format("was killed by SIG{}{}", ::sigabbrev_np(signal),
                     out_of_memory ? " as the kernel was out of memory" : "");
}

StatusOr<std::string> Reap(const ChildProcess& child) {
  ASSIGN_OR_RETURN(const ProcessEnd end, ReapEnd(child));
  return end.Words();
}

StatusOr<ProcessEnd> ReapEnd(const ChildProcess& child) {
  int status = 0;
  if (::waitpid(child.pid, &status, WNOHANG) != child.pid) {
    return Error(ErrorCode::kInternal, fmt::format("process {} has not ended", child.pid));
  }
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return ProcessEnd{.signal = signal,
                      .out_of_memory = signal == SIGKILL && OomKills() > child.oom_kills};
  }
  return ProcessEnd{.exit_code = WEXITSTATUS(status)};
}

StatusOr<bool> WaitForEnd(int pidfd, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  pollfd waited{.fd = pidfd, .events = POLLIN, .revents = 0};
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const int ready = ::poll(&waited, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return ErrnoError(errno, "wait for a process");
  }
}

Status ReplaceProcess(const std::vector<std::string>& argv) {
  if (const int fault = InjectedFault("exec")) return ErrnoError(fault, "start " + argv[0]);
  const std::vector<char*> raw_argv = RawArguments(argv);
  internal::RestoreIgnoredSignals();
  ::execvp(raw_argv[0], raw_argv.data());
  // EACCES also tells of a folder of $PATH that this user may not look into.
  if (errno == EACCES && argv[0].find('/') == std::string::npos && !IsOnPath(argv[0])) {
    errno = ENOENT;
  }
  return ErrnoError(errno, "start " + argv[0]);
}

void RunBehindOthers() {
  constexpr int kNiceness = 10;
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
}

Status SendSignal(const ChildProcess& child, int signal) {
  if (::syscall(SYS_pidfd_send_signal, child.pidfd.get(), signal, nullptr, 0) != 0) {
    return ErrnoError(errno, fmt::format("signal process {}", child.pid));
  }
  return OkStatus();
}

StatusOr<UniqueFd> OpenPidFd(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) {
    if (errno == ESRCH) {
      return Error(ErrorCode::kFileNotFound, fmt::format("there is no process {}", pid));
    }
    return ErrnoError(errno, fmt::format("watch process {}", pid));
  }
  return fd;
}

char StateOf(pid_t pid) {
  const auto stat = ReadSmallFile(fmt::format("/proc/{}/stat", pid), 1024);
  if (!stat.ok()) return '?';
  const size_t name_end = stat->rfind(") ");  // a name may have brackets, too
  return name_end != std::string::npos && name_end + 2 < stat->size() ? (*stat)[name_end + 2] : '?';
}

std::string CommandOf(pid_t pid) {
  auto raw = ReadSmallFile(fmt::format("/proc/{}/cmdline", pid), 4096);
  if (!raw.ok() || raw->empty()) {
    raw = ReadSmallFile(fmt::format("/proc/{}/comm", pid), 64);
    if (!raw.ok()) return "?";
  }
  std::string command = *raw;
  while (!command.empty() && (command.back() == '\0' || command.back() == '\n')) {
    command.pop_back();
  }
  std::replace(command.begin(), command.end(), '\0', ' ');
  return command;
}

std::string ProgramDirectory() {
  char path[4096];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string program(path, length > 0 ? static_cast<size_t>(length) : 0);
  return program.substr(0, program.rfind('/') + 1);
}

}  // namespace warmset::os

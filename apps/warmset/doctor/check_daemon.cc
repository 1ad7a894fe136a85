#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <limits>

#include "base/units.h"
#include "doctor/check.h"
#include "fmt/format.h"
#include "os/cgroup.h"
#include "os/limits.h"
#include "os/process.h"
#include "os/unix_socket.h"
#include "python_hook.h"
#include "wire/channel.h"
#include "wire/socket_path.h"

namespace warmset::cli {
namespace {

constexpr std::chrono::seconds kPythonPatience{20};

Check CheckPrograms() {
  const std::string folder = os::ProgramDirectory();
  for (const char* const program : {"warmsetd", "warmset-worker", "warmset-inspect"}) {
    std::error_code error;
    if (!std::filesystem::exists(folder + program, error)) {
      return Fail("programs", fmt::format("there is no {} in {}", program, folder),
                  "install all programs of Warmset into one folder");
    }
  }
  return Ok("programs", folder);
}

Check CheckSocket(const std::string& path) {
  const Status folder = wire::CheckSocketFolder(path);
  if (!folder.ok()) {
    return Fail("socket", std::string(Message(folder)),
                "have its owner remove the folder, or name another path in $WARMSET_SOCKET");
  }
  return Ok("socket", path);
}

// Why a process that listens does not answer, by what the kernel says of it.
Check Silent(const DaemonLook& daemon) {
  const std::string finding(Message(daemon.answer));
  switch (daemon.pid != 0 ? os::StateOf(daemon.pid) : '?') {
    case 'T':
    case 't':
      return Fail("daemon", fmt::format("process {} is stopped and answers no client", daemon.pid),
                  fmt::format("kill -CONT {}", daemon.pid));
    case 'D':
      return Fail("daemon", finding + "; it waits for a disk",
                  "look at the system's log for the disk or server that does not answer");
    default:
      return Fail("daemon", finding,
                  daemon.pid != 0 ? fmt::format("look at its log, or end it: kill {}", daemon.pid)
                                  : std::string("look at its log, or end it"));
  }
}

Check CheckAnswer(const DaemonLook& daemon) {
  if (daemon.answer.ok()) {
    return Ok("daemon",
              fmt::format("version {}, process {}", daemon.hello.version(), daemon.hello.pid()));
  }
  switch (CodeOf(daemon.answer)) {
    case ErrorCode::kDaemonUnavailable:
      return Warn("daemon", "is not running", "warmset serve");
    case ErrorCode::kTimeout:
      return Silent(daemon);
    default:
      return Fail("daemon", std::string(Message(daemon.answer)),
                  "restart it with this version: warmset shutdown, then warmset serve");
  }
}

// The daemon's own limit; this program's may be another.
void CheckDescriptors(pid_t pid, Checks& checks) {
  const auto limit = os::OpenFilesLimitOf(pid);
  const auto open = os::CountOpenFilesOf(pid);
  if (!limit.ok() || !open.ok()) return;  // another user's, or in another namespace
  constexpr uint64_t kFew = 256;
  const std::string finding = fmt::format("{} open of at most {}", *open, *limit);
  const bool tight = *limit < kFew || *open * 10 > *limit * 9;
  checks.push_back(tight ? Warn("daemon's files", finding,
                                "start it with a higher limit: ulimit -n 4096, or LimitNOFILE= of "
                                "the systemd unit")
                         : Ok("daemon's files", finding));
}

// Where its groups are not this program's.
void CheckGroup(pid_t pid, Checks& checks) {
  constexpr ByteCount kLittle(kGiB);
  const ByteCount headroom = os::CgroupHeadroomOf(pid);
  if (headroom == ByteCount(std::numeric_limits<uint64_t>::max())) return;
  const std::string finding = fmt::format("its cgroup leaves {}", FormatSize(headroom));
  checks.push_back(headroom < kLittle ? Warn("daemon's memory", finding,
                                             "raise the cgroup's memory limit (docker run -m, "
                                             "MemoryMax= of the systemd unit)")
                                      : Ok("daemon's memory", finding));
}

// What a program prints, and whether it ended well, within kPythonPatience.
StatusOr<std::string> OutputOf(const std::vector<std::string>& argv) {
  ASSIGN_OR_RETURN(auto ends, os::MakeSocketPair());
  ASSIGN_OR_RETURN(
      const os::ChildProcess child,
      os::Spawn(argv, {{ends.second.get(), STDOUT_FILENO}, {ends.second.get(), STDERR_FILENO}}));
  ends.second.Reset();
  ASSIGN_OR_RETURN(const bool ended, os::WaitForEnd(child.pidfd.get(), kPythonPatience));
  if (!ended) {
    RETURN_IF_ERROR(os::SendSignal(child, SIGKILL));
    return Error(ErrorCode::kTimeout, fmt::format("{} does not end", argv[0]));
  }
  ASSIGN_OR_RETURN(const std::string how, os::Reap(child));
  std::string output(4096, '\0');
  std::vector<os::UniqueFd> none;
  ASSIGN_OR_RETURN(
      const os::Received received,
      os::ReceiveWithFds(ends.first.get(), std::as_writable_bytes(std::span(output)), none));
  output.resize(received.bytes);
  while (output.ends_with('\n')) output.pop_back();
  if (how == "exited with 0") return output;
  // A traceback's last line says what is wrong.
  return Error(ErrorCode::kFileNotFound, output.substr(output.rfind('\n') + 1));
}

}  // namespace

DaemonLook LookAtDaemon(const std::string& socket_path) {
  DaemonLook look;
  if (const auto socket = os::ConnectUnix(socket_path); socket.ok()) {
    if (const auto peer = os::PeerOf(socket->get()); peer.ok()) look.pid = peer->pid;
  }
  auto channel = wire::Channel::Connect(socket_path, "warmset-doctor " WARMSET_VERSION);
  look.answer = channel.status();
  if (!channel.ok()) return look;
  look.hello = channel->daemon();
  v1::Request request;
  request.mutable_get_status();
  const auto answer = channel->Call(std::move(request));
  look.answer = answer.status();
  if (answer.ok()) look.status = answer->response.status();
  return look;
}

void CheckDaemon(const std::string& socket_path, const DaemonLook& daemon, Checks& checks) {
  checks.push_back(CheckPrograms());
  checks.push_back(CheckSocket(socket_path));
  checks.push_back(CheckAnswer(daemon));
  if (daemon.pid != 0) {
    CheckDescriptors(daemon.pid, checks);
    CheckGroup(daemon.pid, checks);
  }
  for (const std::string& notice : daemon.status.notices()) {
    checks.push_back(Warn("notice", notice, "the daemon says so itself; its log has more"));
  }
}

void CheckPython(Checks& checks) {
  const std::string import = "import warmset; print(warmset.__file__)";
  const auto installed = OutputOf({"/usr/bin/env", "python3", "-c", import});
  if (installed.ok()) {
    checks.push_back(Ok("python", "imports " + *installed));
    return;
  }
  const auto hook = FindPythonHook(os::ProgramDirectory());
  if (hook.ok()) {
    const std::string package = std::filesystem::path(*hook).parent_path().parent_path().string();
    const auto from_there =
        OutputOf({"/usr/bin/env", "PYTHONPATH=" + package, "python3", "-c", import});
    if (from_there.ok()) {
      checks.push_back(Warn("python", "`warmset run` works, but `import warmset` alone does not",
                            "pip install " + package));
      return;
    }
  }
  checks.push_back(Warn("python", std::string(Message(installed.status())),
                        "install Python 3 and the package warmset"));
}

}  // namespace warmset::cli

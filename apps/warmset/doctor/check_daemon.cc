#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "doctor/check.h"
#include "fmt/format.h"
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

Check CheckAnswer(const std::string& path) {
  const auto channel = wire::Channel::Connect(path, "warmset-doctor " WARMSET_VERSION);
  if (channel.ok()) {
    return Ok("daemon", fmt::format("version {}, process {}", channel->daemon().version(),
                                    channel->daemon().pid()));
  }
  if (CodeOf(channel.status()) == ErrorCode::kDaemonUnavailable) {
    return Warn("daemon", "is not running", "warmset serve");
  }
  return Fail("daemon", std::string(Message(channel.status())),
              "restart it with this version: warmset shutdown, then warmset serve");
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

void CheckDaemon(const std::string& socket_path, Checks& checks) {
  checks.push_back(CheckPrograms());
  checks.push_back(CheckSocket(socket_path));
  checks.push_back(CheckAnswer(socket_path));
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

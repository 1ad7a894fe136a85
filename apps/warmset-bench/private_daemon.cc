#include "private_daemon.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <system_error>
#include <thread>
#include <utility>

namespace warmset::bench {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kPoll{5};

}  // namespace

StatusOr<TemporaryFolder> TemporaryFolder::Create(const std::filesystem::path& parent) {
  std::string path = (parent / "warmset-bench.XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) return ErrnoError(errno, "make a folder in " + path);
  return TemporaryFolder(path);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

StatusOr<std::unique_ptr<PrivateDaemon>> PrivateDaemon::Start(
    const std::vector<std::string>& flags) {
  ASSIGN_OR_RETURN(TemporaryFolder folder, TemporaryFolder::Create("/tmp"));
  std::unique_ptr<PrivateDaemon> daemon(new PrivateDaemon(std::move(folder)));
  std::vector<std::string> argv = {os::ProgramDirectory() + "warmsetd",
                                   "--socket=" + daemon->socket(),
                                   "--home=" + (daemon->folder_.path() / "home").string(),
                                   "--log-level=error"};
  argv.insert(argv.end(), flags.begin(), flags.end());
  ASSIGN_OR_RETURN(daemon->process_, os::Spawn(argv, {{1, 1}, {2, 2}}));

  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (daemon->channel_ == nullptr) {
    auto channel = wire::Channel::Connect(daemon->socket(), "warmset-bench " WARMSET_VERSION);
    if (channel.ok()) {
      daemon->channel_ = std::make_unique<wire::Channel>(std::move(*channel));
      break;
    }
    ASSIGN_OR_RETURN(const bool ended, os::WaitForEnd(daemon->process_.pidfd.get(), kPoll));
    if (ended || std::chrono::steady_clock::now() > deadline) return channel.status();
  }
  RETURN_IF_ERROR(daemon->WaitFor([](const v1::DaemonStatus& status) { return !status.scanning(); }));
  return daemon;
}

PrivateDaemon::~PrivateDaemon() {
  if (process_.pid == 0) return;
  channel_.reset();
  (void)os::SendSignal(process_, SIGTERM);
  if (const auto ended = os::WaitForEnd(process_.pidfd.get(), kPatience); !ended.ok() || !*ended) {
    (void)os::SendSignal(process_, SIGKILL);
    (void)os::WaitForEnd(process_.pidfd.get(), kPatience);
  }
  (void)os::Reap(process_);
}

StatusOr<v1::Response> PrivateDaemon::Call(v1::Request request) {
  ASSIGN_OR_RETURN(wire::Answer answer, channel_->Call(std::move(request)));
  return std::move(answer.response);
}

StatusOr<v1::DaemonStatus> PrivateDaemon::DaemonStatus() {
  v1::Request request;
  request.mutable_get_status();
  ASSIGN_OR_RETURN(v1::Response response, Call(std::move(request)));
  return std::move(*response.mutable_status());
}

Status PrivateDaemon::WaitFor(const std::function<bool(const v1::DaemonStatus&)>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (true) {
    ASSIGN_OR_RETURN(const v1::DaemonStatus status, DaemonStatus());
    if (condition(status)) return OkStatus();
    if (std::chrono::steady_clock::now() > deadline) {
      return Error(ErrorCode::kTimeout, "the daemon did not get ready for a measurement");
    }
    std::this_thread::sleep_for(kPoll);
  }
}

StatusOr<double> PrivateDaemon::CpuSeconds() const {
  clockid_t clock{};
  if (const int error = ::clock_getcpuclockid(process_.pid, &clock); error != 0) {
    return ErrnoError(error, "find the daemon's CPU clock");
  }
  timespec used{};
  if (::clock_gettime(clock, &used) != 0) return ErrnoError(errno, "read the daemon's CPU clock");
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

}  // namespace warmset::bench

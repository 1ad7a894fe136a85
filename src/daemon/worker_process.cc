#include "daemon/worker_process.h"

#include <csignal>
#include <optional>
#include <utility>

#include "base/strong.h"
#include "os/unix_socket.h"

namespace warmset {
namespace {

// A worker that lives reads at once; what piles up belongs to one that is
// stalled.
constexpr size_t kMaxQueuedBytes = 4 * kMiB;

}  // namespace

StatusOr<std::unique_ptr<WorkerProcess>> WorkerProcess::Start(os::EventLoop& loop,
                                                              const std::vector<std::string>& argv,
                                                              Events events) {
  ASSIGN_OR_RETURN(auto ends, os::MakeSocketPair());
  RETURN_IF_ERROR(os::SetNonBlocking(ends.first.get(), true));
  ASSIGN_OR_RETURN(os::ChildProcess child, os::Spawn(argv, {{ends.second.get(), 3}}));
  std::unique_ptr<WorkerProcess> process(
      new WorkerProcess(loop, std::move(child), std::move(ends.first), std::move(events)));
  RETURN_IF_ERROR(process->Watch());
  return process;
}

WorkerProcess::WorkerProcess(os::EventLoop& loop, os::ChildProcess child, os::UniqueFd socket,
                             Events events)
    : loop_(loop),
      child_(std::move(child)),
      socket_(std::move(socket)),
      events_(std::move(events)),
      writer_(kMaxQueuedBytes) {}

WorkerProcess::~WorkerProcess() {
  loop_.Unwatch(child_.pidfd.get());
  if (socket_.valid()) loop_.Unwatch(socket_.get());
  if (!ended_) Signal(SIGKILL);
}

Status WorkerProcess::Watch() {
  RETURN_IF_ERROR(loop_.Watch(child_.pidfd.get(), EPOLLIN, [this](uint32_t) { OnExit(); }));
  return loop_.Watch(socket_.get(), EPOLLIN, [this](uint32_t events) { OnSocket(events); });
}

void WorkerProcess::Send(std::string_view payload, std::vector<wire::SharedFd> fds) {
  if (!socket_.valid()) return;
  if (writer_.Push(wire::Encoding::kProtobuf, payload, std::move(fds)).ok()) Flush();
}

void WorkerProcess::Signal(int signal) {
  (void)os::SendSignal(child_, signal);  // one that has ended needs none
}

void WorkerProcess::Kill(const std::string& why) {
  if (killed_because_.empty()) killed_because_ = why;
  if (socket_.valid()) loop_.Unwatch(socket_.get());
  socket_.Reset();
  Signal(SIGKILL);
}

void WorkerProcess::OnSocket(uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    if (const Status status = Receive(); !status.ok()) return Kill(std::string(Message(status)));
  }
  if ((events & EPOLLOUT) != 0) Flush();
}

Status WorkerProcess::Receive() {
  ASSIGN_OR_RETURN(const os::Received received, reader_.ReceiveFrom(socket_.get()));
  while (true) {
    ASSIGN_OR_RETURN(std::optional<wire::Frame> frame, reader_.Next());
    if (!frame) break;
    events_.frame(*std::move(frame));
    if (!socket_.valid()) return OkStatus();  // killed by what it said
  }
  // Most likely it is ending; how, the pidfd will show.
  if (received.closed) Kill("");
  return OkStatus();
}

void WorkerProcess::Flush() {
  const StatusOr<bool> sent = writer_.FlushTo(socket_.get());
  // An error here is the end of the process, which the pidfd shows.
  if (sent.ok()) (void)loop_.ChangeEvents(socket_.get(), *sent ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

void WorkerProcess::OnExit() {
  ended_ = true;
  const StatusOr<std::string> how = os::Reap(child_);
  std::string words = how.ok() ? *how : std::string("ended");
  if (!killed_because_.empty()) words += ": " + killed_because_;
  const auto end = std::move(events_.end);
  end(words);  // may destroy this
}

}  // namespace warmset

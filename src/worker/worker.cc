#include "worker/worker.h"

#include <chrono>
#include <utility>
#include <variant>

#include "fmt/format.h"
#include "os/unix_socket.h"
#include "wire/worker_messages.h"

namespace warmset {
namespace {

// Only one batch is queued at a time, so this bounds one state, not a backlog.
constexpr size_t kMaxQueuedBytes = 64 * kMiB;

sync::Nack NackOf(const Status& status) {
  return {std::string(ErrorCodeName(CodeOf(status))), std::string(Message(status))};
}

}  // namespace

Worker::Worker(os::EventLoop& loop, Device& device, os::UniqueFd socket, uint64_t epoch)
    : loop_(loop),
      device_(device),
      socket_(std::move(socket)),
      writer_(kMaxQueuedBytes),
      reporter_(epoch, sync::StateReporter::Options{}),
      receiver_(epoch),
      placements_(loop, device,
                  [this](const std::string& key, const wire::PlacementRecord* record) {
                    if (record == nullptr) {
                      reporter_.Remove(key);
                    } else {
                      reporter_.Set(key, wire::Serialize(*record));
                    }
                    Wake();
                  }) {}

Status Worker::Serve() {
  RETURN_IF_ERROR(os::SetNonBlocking(socket_.get(), true));
  ASSIGN_OR_RETURN(const DeviceMemoryInfo memory, device_.memory());
  RETURN_IF_ERROR(
      loop_.Watch(socket_.get(), EPOLLIN, [this](uint32_t events) { OnSocket(events); }));
  RETURN_IF_ERROR(Send(
      sync::WorkerHello{sync::kProtocolVersion, device_.identity().name, memory.limit.value()}));
  RETURN_IF_ERROR(Pump());
  loop_.Run();
  loop_.Unwatch(socket_.get());
  return result_;
}

void Worker::End(Status status) {
  result_ = std::move(status);
  loop_.Stop();
}

void Worker::OnSocket(uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    const StatusOr<bool> closed = Receive();
    if (!closed.ok() || *closed) return End(closed.status());
  }
  if (Status status = Pump(); !status.ok()) End(std::move(status));
}

StatusOr<bool> Worker::Receive() {
  ASSIGN_OR_RETURN(const os::Received received, reader_.ReceiveFrom(socket_.get()));
  while (true) {
    ASSIGN_OR_RETURN(std::optional<wire::Frame> frame, reader_.Next());
    if (!frame) return received.closed;
    RETURN_IF_ERROR(Handle(*std::move(frame)));
  }
}

Status Worker::Handle(wire::Frame frame) {
  ASSIGN_OR_RETURN(const sync::DaemonToWorker message, wire::ParseDaemonToWorker(frame.payload));
  if (!receiver_.Admit(message)) return OkStatus();
  if (const auto* welcome = std::get_if<sync::Welcome>(&message.body)) {
    welcomed_ = true;
    reporter_.OnWelcome(*welcome);
  } else if (const auto* command = std::get_if<sync::Command>(&message.body)) {
    OnCommand(*command, std::move(frame.fds));
  } else {
    reporter_.OnSnapshotRequest();
  }
  return OkStatus();
}

void Worker::OnCommand(const sync::Command& command, std::vector<os::UniqueFd> fds) {
  sync::CommandReceiver::Decision decision = receiver_.OnCommand(command);
  if (decision.execute) {
    Answer(std::move(decision.reply));
    Execute(command, std::move(fds));
    return;
  }
  const auto* exported = std::get_if<sync::ExportAction>(&command.action);
  if (exported != nullptr && std::holds_alternative<sync::Done>(decision.reply.outcome)) {
    Export(*exported, command.sequence);
  } else {
    Answer(std::move(decision.reply));
  }
}

void Worker::Execute(const sync::Command& command, std::vector<os::UniqueFd> fds) {
  const uint64_t term = receiver_.term();
  const uint64_t sequence = command.sequence;
  if (const auto* place = std::get_if<sync::PlaceAction>(&command.action)) {
    if (fds.size() != 2 && fds.size() != 3) {
      return Finish(term, sequence,
                    Error(ErrorCode::kInvalidRequest,
                          fmt::format("a place command came with {} descriptors", fds.size())));
    }
    EntryFiles entry{.index = std::move(fds[0]),
                     .data = std::move(fds[1]),
                     .segments = fds.size() == 3 ? std::move(fds[2]) : os::UniqueFd(),
                     .bytes = ByteCount(place->bytes)};
    placements_.Place(*place, std::move(entry), [this, term, sequence](Status status) {
      Finish(term, sequence, status.ok() ? StatusOr<sync::Done>(sync::Done{}) : status);
    });
  } else if (const auto* release = std::get_if<sync::ReleaseAction>(&command.action)) {
    const Status status =
        placements_.Release(release->key, [this, term, sequence](ByteCount freed) {
          Finish(term, sequence, sync::Done{.freed_bytes = freed.value(), .chunk_bytes = {}});
        });
    if (!status.ok()) Finish(term, sequence, status);
  } else {
    Export(std::get<sync::ExportAction>(command.action), sequence);
  }
}

void Worker::Finish(uint64_t term, uint64_t sequence, const StatusOr<sync::Done>& end) {
  std::variant<sync::Done, sync::Nack> outcome;
  if (end.ok()) {
    outcome = *end;
  } else {
    outcome = NackOf(end.status());
  }
  if (auto reply = receiver_.Finish(term, sequence, std::move(outcome))) Answer(*std::move(reply));
}

void Worker::Export(const sync::ExportAction& action, uint64_t sequence) {
  auto exported = placements_.Export(action.key);
  if (!exported.ok()) return Finish(receiver_.term(), sequence, exported.status());
  std::vector<wire::SharedFd> fds;
  fds.push_back(wire::Share(std::move(exported->index)));
  for (os::UniqueFd& chunk : exported->chunks) fds.push_back(wire::Share(std::move(chunk)));
  auto reply =
      receiver_.Finish(receiver_.term(), sequence, sync::Done{0, std::move(exported->chunk_bytes)});
  if (reply) Answer(*std::move(reply), std::move(fds));
}

void Worker::Answer(sync::CommandReply reply, std::vector<wire::SharedFd> fds) {
  replies_.push_back({std::move(reply), std::move(fds)});
  Wake();
}

void Worker::Wake() {
  if (std::exchange(wake_posted_, true)) return;
  loop_.Post([this] {
    wake_posted_ = false;
    if (Status status = Pump(); !status.ok()) End(std::move(status));
  });
}

Status Worker::Pump() {
  if (writer_.empty() && welcomed_) {
    if (const auto memory = device_.memory(); memory.ok()) {
      reporter_.SetUsage(memory->used.value(), placements_.shared_bytes());
    }
    const auto now = std::chrono::steady_clock::now();
    for (sync::WorkerBody& body : reporter_.TakeDue(now)) RETURN_IF_ERROR(Send(std::move(body)));
    for (QueuedReply& queued : std::exchange(replies_, {})) {
      RETURN_IF_ERROR(Send(std::move(queued.reply), std::move(queued.fds)));
    }
    loop_.Cancel(heartbeat_);
    heartbeat_ = loop_.RunAfter(reporter_.next_heartbeat() - now, [this] { Wake(); });
  }
  const StatusOr<bool> sent = writer_.FlushTo(socket_.get());
  // When sending fails the daemon is gone, as reading shows; or it will kill
  // this worker for its silence.
  const bool full = sent.ok() && !*sent;
  return loop_.ChangeEvents(socket_.get(), full ? EPOLLOUT : EPOLLIN);
}

Status Worker::Send(sync::WorkerBody body, std::vector<wire::SharedFd> fds) {
  return writer_.Push(
      wire::Encoding::kProtobuf,
      wire::Serialize(sync::WorkerToDaemon{reporter_.epoch(), receiver_.term(), std::move(body)}),
      std::move(fds));
}

}  // namespace warmset

#include "daemon/worker_supervisor.h"

#include <algorithm>
#include <csignal>
#include <utility>
#include <variant>

#include "fmt/format.h"
#include "os/process.h"
#include "spdlog/spdlog.h"
#include "wire/worker_messages.h"

namespace warmset {
namespace {

// Ends in a row that make a worker count as failed.
constexpr uint32_t kFailedAfter = 5;

template <typename... Args>
Status Unavailable(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ErrorCode::kDeviceUnavailable, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

std::string_view WorkerStateName(WorkerState state) {
  switch (state) {
    case WorkerState::kStarting:
      return "starting";
    case WorkerState::kReady:
      return "ready";
    case WorkerState::kStalled:
      return "stalled";
    case WorkerState::kRestarting:
      return "restarting";
    case WorkerState::kFailed:
      break;
  }
  return "failed";
}

WorkerSupervisor::WorkerSupervisor(os::EventLoop& loop, Options options, Events events)
    : loop_(loop),
      options_(std::move(options)),
      events_(std::move(events)),
      mirror_({.stale_after = options_.stall_after}),
      sender_(options_.daemon_term, options_.commands) {
  // Not from here: events reach an owner that is still being made.
  restart_ = loop_.RunAfter(std::chrono::nanoseconds(0), [this] { Spawn(); });
}

WorkerSupervisor::~WorkerSupervisor() {
  for (const auto timer : {tick_, restart_, kill_}) loop_.Cancel(timer);
}

// --- the process ---

void WorkerSupervisor::Spawn() {
  const std::string program = options_.worker_program.empty()
                                  ? os::ProgramDirectory() + "warmset-worker"
                                  : options_.worker_program;
  ++spawned_;
  started_ = last_heard_ = Clock::now();
  auto process =
      WorkerProcess::Start(loop_,
                           {program, "--device", options_.device.value(), "--memory",
                            std::to_string(options_.memory.value()), "--fd", "3"},
                           {.frame = [this](wire::Frame frame) { OnFrame(std::move(frame)); },
                            .end = [this](const std::string& how) { OnProcessEnd(how); }});
  if (!process.ok()) {
    OnProcessEnd(fmt::format("could not be started: {}", Message(process.status())));
    return;
  }
  process_ = *std::move(process);
  events_.changed();
  Tick();
}

void WorkerSupervisor::OnFrame(wire::Frame frame) {
  last_heard_ = Clock::now();
  auto message = wire::ParseWorkerToDaemon(frame.payload);
  const Status status =
      message.ok() ? OnMessage(*std::move(message), std::move(frame.fds)) : message.status();
  if (!status.ok()) return process_->Kill(std::string(Message(status)));
  if (state_ == WorkerState::kStalled) SetState(WorkerState::kReady);
  Tick();
}

Status WorkerSupervisor::OnMessage(sync::WorkerToDaemon message, std::vector<os::UniqueFd> fds) {
  const auto now = Clock::now();
  const uint64_t epoch = message.worker_epoch;
  if (const auto* hello = std::get_if<sync::WorkerHello>(&message.body)) {
    return OnHello(epoch, *hello);
  }
  if (process_epoch_ == 0 || epoch != process_epoch_) {
    return Error(ErrorCode::kInvalidRequest, "it spoke for another epoch than it said hello with");
  }
  if (const auto* delta = std::get_if<sync::Delta>(&message.body)) {
    if (mirror_.OnDelta(epoch, *delta, now)) events_.changed();
  } else if (const auto* snapshot = std::get_if<sync::Snapshot>(&message.body)) {
    OnWorkerSnapshot(epoch, *snapshot);
  } else if (const auto* heartbeat = std::get_if<sync::Heartbeat>(&message.body)) {
    mirror_.OnHeartbeat(epoch, *heartbeat, now);
    const sync::Heartbeat before = std::exchange(heartbeat_, *heartbeat);
    if (before.memory_used != heartbeat->memory_used ||
        before.shared_bytes != heartbeat->shared_bytes) {
      events_.changed();
    }
  } else {
    auto end = sender_.OnReply(epoch, message.daemon_term,
                               std::get<sync::CommandReply>(message.body), now);
    if (end) EndCommand(*std::move(end), std::move(fds));
  }
  return OkStatus();
}

Status WorkerSupervisor::OnHello(uint64_t epoch, const sync::WorkerHello& hello) {
  if (hello.protocol != sync::kProtocolVersion) {
    return Error(ErrorCode::kVersionMismatch,
                 fmt::format("it speaks protocol {}, this daemon {}; restart the daemon",
                             hello.protocol, sync::kProtocolVersion));
  }
  if (process_epoch_ != 0 || epoch <= mirror_.epoch()) {
    return Error(ErrorCode::kInvalidRequest, "it said hello with an epoch that is not new");
  }
  process_epoch_ = epoch;
  hello_ = hello;
  Send(mirror_.MakeWelcome(Clock::now()));
  return OkStatus();
}

void WorkerSupervisor::OnWorkerSnapshot(uint64_t epoch, const sync::Snapshot& snapshot) {
  const bool agrees = epoch == mirror_.epoch() && snapshot.revision == mirror_.revision() &&
                      snapshot.state == mirror_.state();
  if (mirror_.OnSnapshot(epoch, snapshot, Clock::now())) events_.changed();
  for (const PendingQuery& query : std::exchange(queries_, {})) query.done(snapshot, agrees);
  if (state_ == WorkerState::kReady || state_ == WorkerState::kStalled || stopping_) return;
  SetState(WorkerState::kReady);
  ready_since_ = Clock::now();
  events_.ready();
}

void WorkerSupervisor::OnProcessEnd(const std::string& how) {
  const pid_t pid = this->pid();
  process_.reset();
  process_epoch_ = 0;
  mirror_.OnDisconnect();
  loop_.Cancel(tick_);
  if (stopping_) {
    loop_.Cancel(kill_);
    events_.changed();
    if (on_stopped_) on_stopped_();
    return;
  }
  last_failure_ = how;
  const auto now = Clock::now();
  const auto ready = std::exchange(ready_since_, std::nullopt);
  if (ready && now - *ready >= kSteadyAfter) ends_in_a_row_ = 0;
  ++ends_in_a_row_;
  SetState(ends_in_a_row_ >= kFailedAfter ? WorkerState::kFailed : WorkerState::kRestarting);
  const auto delay = std::min<std::chrono::milliseconds>(
      options_.max_restart_delay,
      options_.first_restart_delay * (uint64_t{1} << std::min(ends_in_a_row_ - 1, 16u)));
  spdlog::warn("{}: its worker{} {}; {} have ended since the start, the next one comes in {} ms",
               options_.device.value(), pid != 0 ? fmt::format(" (process {})", pid) : "", how,
               spawned_, delay.count());
  restart_ = loop_.RunAfter(delay, [this] { Spawn(); });

  const Status why = Unavailable("the worker of {} {}", options_.device.value(), how);
  for (auto& completion : sender_.FailAll(why)) EndCommand(std::move(completion), {});
  FailQueries(why);
  events_.down(why);
}

void WorkerSupervisor::Shutdown(std::function<void()> done) {
  const Status why = Unavailable("{} is shutting down", options_.device.value());
  stopping_ = true;
  on_stopped_ = std::move(done);
  loop_.Cancel(tick_);
  loop_.Cancel(restart_);
  for (auto& completion : sender_.FailAll(why)) EndCommand(std::move(completion), {});
  FailQueries(why);
  events_.down(why);
  if (process_ == nullptr) {
    if (on_stopped_) on_stopped_();
    return;
  }
  process_->Signal(SIGTERM);
  kill_ = loop_.RunAfter(options_.stop_grace, [this] { process_->Signal(SIGKILL); });
}

void WorkerSupervisor::SetState(WorkerState state) {
  if (std::exchange(state_, state) != state) events_.changed();
}

void WorkerSupervisor::Send(decltype(sync::DaemonToWorker::body) body) {
  process_->Send(
      wire::Serialize(sync::DaemonToWorker{process_epoch_, options_.daemon_term, std::move(body)}));
}

Status WorkerSupervisor::CheckNotDown() const {
  const std::string& device = options_.device.value();
  if (stopping_) return Unavailable("{} is shutting down", device);
  if (state_ == WorkerState::kStalled) {
    return Unavailable("the worker of {} does not answer", device);
  }
  if (state_ == WorkerState::kFailed) {
    return Unavailable("the worker of {} {}", device, last_failure_);
  }
  return OkStatus();
}

Status WorkerSupervisor::CheckReady() const {
  RETURN_IF_ERROR(CheckNotDown());
  if (state_ == WorkerState::kReady) return OkStatus();
  return Unavailable("the worker of {} is {}; try again", options_.device.value(),
                     WorkerStateName(state_));
}

// --- time ---

void WorkerSupervisor::Tick() {
  if (process_ == nullptr || stopping_) return;
  const auto now = Clock::now();
  CheckSilence(now);
  for (auto& expired : sender_.TakeExpired(now)) EndCommand(std::move(expired), {});
  if (!queries_.empty() && queries_.front().deadline <= now) {
    FailQueries(Unavailable("the worker of {} gave no snapshot", options_.device.value()));
  }
  if (process_epoch_ != 0) {
    if (mirror_.TakeSnapshotRequest(now)) Send(sync::SnapshotRequest{});
    if (state_ == WorkerState::kReady && mirror_.in_sync(now)) events_.in_sync();
    SendDueCommands();
  }
  Arm(NextDeadline() - now);
}

WorkerSupervisor::Clock::time_point WorkerSupervisor::SilenceDeadline() const {
  if (state_ == WorkerState::kReady) return last_heard_ + options_.stall_after;
  if (state_ == WorkerState::kStalled) {
    return last_heard_ + options_.stall_after + options_.kill_stalled_after;
  }
  return started_ + options_.start_timeout;
}

void WorkerSupervisor::CheckSilence(Clock::time_point now) {
  if (SilenceDeadline() > now) return;
  const double seconds = std::chrono::duration<double>(now - last_heard_).count();
  if (state_ != WorkerState::kReady) {
    process_->Kill(fmt::format("it had been silent for {:.1f} s", seconds));
    return;
  }
  SetState(WorkerState::kStalled);
  const Status why = Unavailable("the worker of {} has been silent for {:.1f} s",
                                 options_.device.value(), seconds);
  FailQueries(why);
  std::vector<uint64_t> ending;
  for (const auto& [sequence, pending] : commands_) {
    if (pending.ends_with_stall) ending.push_back(sequence);
  }
  for (const uint64_t sequence : ending) EndCommand({sequence, why}, {});
}

WorkerSupervisor::Clock::time_point WorkerSupervisor::NextDeadline() const {
  // A worker that was killed for its silence needs a moment to end.
  auto next = std::max(SilenceDeadline(), Clock::now() + std::chrono::milliseconds(100));
  const auto consider = [&next](std::optional<Clock::time_point> time) {
    if (time && *time < next) next = *time;
  };
  consider(sender_.NextDeadline());
  if (process_epoch_ != 0) consider(mirror_.NextSnapshotRequest());
  if (!queries_.empty()) consider(queries_.front().deadline);
  return next;
}

void WorkerSupervisor::Arm(std::chrono::nanoseconds delay) {
  loop_.Cancel(tick_);
  tick_ = loop_.RunAfter(std::max(delay, std::chrono::nanoseconds(0)), [this] { Tick(); });
}

// --- commands ---

void WorkerSupervisor::Begin(sync::Action action, std::vector<wire::SharedFd> fds,
                             bool ends_with_stall, OnEnd on_end) {
  const uint64_t sequence = sender_.Begin(process_epoch_, std::move(action), Clock::now());
  commands_[sequence] = {std::move(fds), ends_with_stall, std::move(on_end)};
  SendDueCommands();
  Arm(NextDeadline() - Clock::now());
}

void WorkerSupervisor::SendDueCommands() {
  for (const sync::DaemonToWorker& message : sender_.TakeDue(Clock::now())) {
    const auto pending = commands_.find(std::get<sync::Command>(message.body).sequence);
    if (pending == commands_.end()) continue;  // its caller waits no longer
    process_->Send(wire::Serialize(message), pending->second.fds);
  }
}

void WorkerSupervisor::EndCommand(sync::CommandSender::Completion completion,
                                  std::vector<os::UniqueFd> fds) {
  auto node = commands_.extract(completion.sequence);
  if (node.empty()) return;
  StatusOr<sync::Done>& result = completion.result;
  if (!result.ok() && CodeOf(result.status()) == ErrorCode::kTimeout) {
    result = Unavailable("{}: {}", options_.device.value(), Message(result.status()));
  }
  node.mapped().on_end(std::move(result), std::move(fds));
}

void WorkerSupervisor::Query(OnSnapshot done) {
  queries_.push_back({Clock::now() + options_.commands.answer_timeout, std::move(done)});
  Send(sync::SnapshotRequest{});
  Arm(NextDeadline() - Clock::now());
}

void WorkerSupervisor::FailQueries(const Status& why) {
  for (const PendingQuery& query : std::exchange(queries_, {})) query.done(why, false);
}

}  // namespace warmset

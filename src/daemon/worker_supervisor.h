// Keeps one worker process running and speaks the state protocol with it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "daemon/worker_process.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"
#include "sync/command_sender.h"
#include "sync/state_mirror.h"
#include "wire/frame.h"

namespace warmset {

enum class WorkerState {
  kStarting,  // the first process has not said hello yet
  kReady,
  kStalled,     // alive but silent; what is shown is the last that was known
  kRestarting,  // ended, or not yet ready again
  kFailed,      // ended several times without getting ready; still tried, rarely
};
// "starting" and so on, as in DeviceState.worker_state.
std::string_view WorkerStateName(WorkerState state);

// Starts, watches and restarts the worker of one device; keeps the mirror of its
// state and carries commands to it. What should be on the device is no concern
// of this class (DeviceLink). Loop thread only. The first worker is started when
// the loop runs. The events and the ends of commands are called directly, also
// from within Shutdown(); they may call the supervisor but not destroy it.
class WorkerSupervisor {
 public:
  struct Options {
    DeviceId device;
    ByteCount memory{};            // budget of the dedicated pool
    uint64_t daemon_term = 0;      // from the catalog, greater than every earlier one
    std::string worker_program{};  // empty: warmset-worker beside this program

    // A worker says something every 500 ms. After this much silence it is
    // stalled, after kill_stalled_after more it is killed and restarted.
    std::chrono::milliseconds stall_after{1500};
    std::chrono::milliseconds kill_stalled_after{30'000};
    std::chrono::milliseconds start_timeout{10'000};  // until it is ready
    std::chrono::milliseconds stop_grace{2'000};      // from SIGTERM to SIGKILL
    // Doubles with each end that comes within kSteadyAfter of getting ready.
    std::chrono::milliseconds first_restart_delay{100};
    std::chrono::milliseconds max_restart_delay{30'000};
    sync::CommandSender::Options commands{};
  };
  static constexpr std::chrono::seconds kSteadyAfter{10};

  struct Events {
    std::function<void()> changed;  // the state, the mirror or the usage
    std::function<void()> ready;    // a new worker is ready, the mirror shows its state
    std::function<void()> in_sync;  // after every message while the mirror can be relied on
    // The worker is gone or will be; all commands have ended.
    std::function<void(const Status& why)> down;
  };
  // How a command ended, and the descriptors that came with it.
  using OnEnd = std::function<void(StatusOr<sync::Done>, std::vector<os::UniqueFd>)>;
  // A snapshot that was asked for, and whether the mirror had the same.
  using OnSnapshot = std::function<void(StatusOr<sync::Snapshot>, bool agrees)>;

  WorkerSupervisor(os::EventLoop& loop, Options options, Events events);
  ~WorkerSupervisor();
  WorkerSupervisor(const WorkerSupervisor&) = delete;
  WorkerSupervisor& operator=(const WorkerSupervisor&) = delete;

  // Begins a command. It ends with kDeviceUnavailable when the worker ends, does
  // not answer in time or, if ends_with_stall, stalls. REQUIRES: state() is
  // kReady.
  void Begin(sync::Action action, std::vector<wire::SharedFd> fds, bool ends_with_stall,
             OnEnd on_end);
  // Asks for a snapshot; kDeviceUnavailable as above. REQUIRES: as above.
  void Query(OnSnapshot done);
  // Has Events::in_sync called soon, if it can be.
  void Poke() { Arm(std::chrono::nanoseconds(0)); }

  // kDeviceUnavailable with the reason, when there is no use in waiting for the
  // worker.
  Status CheckNotDown() const;
  // The same for anything but kReady.
  Status CheckReady() const;

  WorkerState state() const { return state_; }
  bool running() const { return process_ != nullptr; }
  pid_t pid() const { return running() ? process_->pid() : 0; }
  uint32_t restarts() const { return spawned_ > 1 ? spawned_ - 1 : 0; }
  const std::string& last_failure() const { return last_failure_; }
  const sync::StateMirror& mirror() const { return mirror_; }
  const sync::WorkerHello& hello() const { return hello_; }        // the last
  const sync::Heartbeat& heartbeat() const { return heartbeat_; }  // the last

  // Ends everything under way, then the worker: SIGTERM, then SIGKILL.
  void Shutdown(std::function<void()> done);

 private:
  using Clock = std::chrono::steady_clock;
  struct Pending {
    std::vector<wire::SharedFd> fds;
    bool ends_with_stall = false;
    OnEnd on_end;
  };
  struct PendingQuery {
    Clock::time_point deadline;
    OnSnapshot done;
  };

  void Spawn();
  void OnFrame(wire::Frame frame);
  Status OnMessage(sync::WorkerToDaemon message, std::vector<os::UniqueFd> fds);
  Status OnHello(uint64_t epoch, const sync::WorkerHello& hello);
  void OnWorkerSnapshot(uint64_t epoch, const sync::Snapshot& snapshot);
  void OnProcessEnd(const std::string& how);
  void SetState(WorkerState state);
  void Send(decltype(sync::DaemonToWorker::body) body);

  // What time brings: silence, retries, expiries, the next snapshot request.
  void Tick();
  void CheckSilence(Clock::time_point now);
  Clock::time_point SilenceDeadline() const;
  Clock::time_point NextDeadline() const;
  void Arm(std::chrono::nanoseconds delay);

  void SendDueCommands();
  void EndCommand(sync::CommandSender::Completion completion, std::vector<os::UniqueFd> fds);
  void FailQueries(const Status& why);

  os::EventLoop& loop_;
  const Options options_;
  const Events events_;

  sync::StateMirror mirror_;
  sync::CommandSender sender_;
  std::map<uint64_t, Pending> commands_;  // by sequence
  std::vector<PendingQuery> queries_;

  WorkerState state_ = WorkerState::kStarting;
  std::unique_ptr<WorkerProcess> process_;
  uint64_t process_epoch_ = 0;  // 0 until its hello
  Clock::time_point started_;
  Clock::time_point last_heard_;
  std::optional<Clock::time_point> ready_since_;
  uint32_t spawned_ = 0;
  uint32_t ends_in_a_row_ = 0;
  std::string last_failure_;
  sync::WorkerHello hello_;
  sync::Heartbeat heartbeat_;
  bool stopping_ = false;
  std::function<void()> on_stopped_;

  os::EventLoop::TimerId tick_ = 0;
  os::EventLoop::TimerId restart_ = 0;
  os::EventLoop::TimerId kill_ = 0;
};

}  // namespace warmset

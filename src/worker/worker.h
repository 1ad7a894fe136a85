// A device worker: the protocol's worker half on a socket to the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "device/device.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"
#include "sync/command_receiver.h"
#include "sync/state_reporter.h"
#include "wire/frame.h"
#include "worker/placements.h"

namespace warmset {

// Serves one daemon over one socket, then ends. Loop thread only.
//
// What the daemon can send wrongly falls in two: a frame that is no message
// ends the worker (its daemon is broken, or not a daemon), a command that cannot
// be done is answered with its reason.
class Worker {
 public:
  // The epoch must be greater than that of every earlier worker of this daemon.
  Worker(os::EventLoop& loop, Device& device, os::UniqueFd socket, uint64_t epoch);

  // Says hello and serves until the daemon closes its end; the loop is stopped
  // then. An error when the daemon broke the protocol.
  Status Serve();

 private:
  void OnSocket(uint32_t events);
  // Takes what the socket has; true when the daemon's end is closed.
  StatusOr<bool> Receive();
  Status Handle(wire::Frame frame);
  void OnCommand(const sync::Command& command, std::vector<os::UniqueFd> fds);
  void Execute(const sync::Command& command, std::vector<os::UniqueFd> fds);

  // Answers a command of that term with its end.
  void Finish(uint64_t term, uint64_t sequence, const StatusOr<sync::Done>& end);
  // Answers an export with its descriptors: for the first time, or again.
  void Export(const sync::ExportAction& action, uint64_t sequence);
  void Answer(sync::CommandReply reply, std::vector<wire::SharedFd> fds = {});

  // Sends what is due, soon; several changes leave together.
  void Wake();
  // Changes leave before the replies that follow from them. Nothing is taken
  // from the reporter, and nothing received, while the socket is full.
  Status Pump();
  Status Send(sync::WorkerBody body, std::vector<wire::SharedFd> fds = {});
  void End(Status status);

  struct QueuedReply {
    sync::CommandReply reply;
    std::vector<wire::SharedFd> fds;
  };

  os::EventLoop& loop_;
  Device& device_;
  const os::UniqueFd socket_;
  wire::FrameReader reader_;
  wire::FrameWriter writer_;
  sync::StateReporter reporter_;
  sync::CommandReceiver receiver_;
  std::vector<QueuedReply> replies_;
  bool welcomed_ = false;  // only the hello leaves before
  bool wake_posted_ = false;
  os::EventLoop::TimerId heartbeat_ = 0;
  Status result_;
  Placements placements_;  // last: its threads post to what is above
};

}  // namespace warmset

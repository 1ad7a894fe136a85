// One worker process and the socket to it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "os/event_loop.h"
#include "os/process.h"
#include "os/unique_fd.h"
#include "wire/frame.h"

namespace warmset {

// Starts a program with its end of a socketpair as descriptor 3, and carries
// frames. Loop thread only. Its end is seen at once, by pidfd; a worker that
// closes its socket or breaks the framing is killed.
class WorkerProcess {
 public:
  struct Events {
    std::function<void(wire::Frame)> frame;
    // The process is gone: how, in words ("was killed by SIGKILL"). The last
    // call; only here may the WorkerProcess be destroyed from within.
    std::function<void(const std::string& how)> end;
  };

  static StatusOr<std::unique_ptr<WorkerProcess>> Start(os::EventLoop& loop,
                                                        const std::vector<std::string>& argv,
                                                        Events events);
  // Kills a process that has not ended.
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  pid_t pid() const { return child_.pid; }
  // Queues a frame. One that does not fit any more is lost, as on a bad line:
  // the protocol above repeats what matters.
  void Send(std::string_view payload, std::vector<wire::SharedFd> fds = {});
  void Signal(int signal);
  // Kills it and remembers why, for the words of Events::end.
  void Kill(const std::string& why);

 private:
  WorkerProcess(os::EventLoop& loop, os::ChildProcess child, os::UniqueFd socket, Events events);
  Status Watch();
  void OnSocket(uint32_t events);
  Status Receive();
  void Flush();
  void OnExit();

  os::EventLoop& loop_;
  const os::ChildProcess child_;
  os::UniqueFd socket_;
  Events events_;
  wire::FrameReader reader_;
  wire::FrameWriter writer_;
  std::string killed_because_;
  bool ended_ = false;
};

}  // namespace warmset

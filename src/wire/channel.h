// A client's end of the socket for Warmset's own programs: blocking, protobuf.
// Other programs use include/warmset, which depends on no library.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "os/unique_fd.h"
#include "warmset/v1/session.pb.h"
#include "wire/frame.h"

namespace warmset::wire {

// One answer to a request, with the descriptors that came with it.
struct Answer {
  v1::Response response;
  std::vector<os::UniqueFd> fds;
};

// One session. Its leases end with it. Not thread-safe; not to be used by a
// forked child.
class Channel {
 public:
  using OnProgress = std::function<void(const v1::Progress&)>;

  // How long a daemon may be silent. One that works on a request says so every two
  // seconds (docs/formats/wire.md).
  static constexpr std::chrono::seconds kPatience{10};

  // Connects and says Hello as `client` ("warmset-cli 0.1.0").
  // kDaemonUnavailable when no daemon listens there, kVersionMismatch when it
  // speaks another major version, kTimeout when it is silent.
  static StatusOr<Channel> Connect(const std::string& socket_path, std::string_view client);

  // Sends the request (its id is set here) and waits for the last response.
  // An error response is returned as that error, candidates included; progress
  // goes to on_progress. kDaemonUnavailable when the daemon goes meanwhile:
  // then the channel is of no more use; likewise kTimeout when it is silent.
  // Returns the one answer of a request that has exactly one.
  StatusOr<Answer> Call(v1::Request request, std::vector<SharedFd> fds = {},
                        const OnProgress& on_progress = nullptr);
  // The same for requests with several answers (Attach), in order.
  StatusOr<std::vector<Answer>> CallForAll(v1::Request request, std::vector<SharedFd> fds = {},
                                           const OnProgress& on_progress = nullptr);
  // Sends a request that is not answered (Release).
  Status Send(v1::Request request);

  const v1::HelloReply& daemon() const { return daemon_; }

 private:
  explicit Channel(os::UniqueFd socket) : socket_(std::move(socket)) {}
  Status Silence() const;
  Status SendRequest(v1::Request& request, std::vector<SharedFd> fds);
  StatusOr<Answer> Receive();

  os::UniqueFd socket_;
  FrameReader reader_;
  uint64_t next_id_ = 1;
  v1::HelloReply daemon_;
};

}  // namespace warmset::wire

// Sends and receives whole frames on a blocking socket (docs/formats/wire.md),
// which may have a limit for each wait (SO_RCVTIMEO, SO_SNDTIMEO).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/owned_fd.h"
#include "warmset/result.h"

namespace warmset::inline client_v1::client_internal {

enum class SendResult {
  kSent,
  kWouldBlock,  // nothing was sent
  kFailed,      // the connection is of no more use
};

// Without wait it never blocks. A frame that is small enough for the socket to
// take it whole or not at all should be the only use of that.
SendResult SendFrame(int socket, std::string_view payload, std::span<const int> fds, bool wait);

struct ReceivedFrame {
  std::string payload;
  std::vector<OwnedFd> fds;
};

// Cuts what a socket brings into frames. Whole small ones take one call to the
// kernel; what it brings of later ones waits here. Not thread-safe.
class FrameReceiver {
 public:
  // "daemon_unavailable" when the connection ends, "timeout" when nothing comes,
  // "internal" for what is no frame of protobuf. After an error it is of no more use.
  std::optional<ClientError> Receive(int socket, ReceivedFrame& frame);

  // Whether something of a later frame is here.
  bool has_more() const { return !ahead_.empty(); }

 private:
  std::string ahead_;         // came behind the last frame
  std::vector<OwnedFd> fds_;  // that no frame has taken yet
};

}  // namespace warmset::inline client_v1::client_internal

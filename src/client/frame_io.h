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
// "daemon_unavailable" when the connection ends, "timeout" when nothing comes,
// "internal" for what is no frame of protobuf.
std::optional<ClientError> ReceiveFrame(int socket, ReceivedFrame& frame);

}  // namespace warmset::inline client_v1::client_internal

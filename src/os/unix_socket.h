// Unix stream sockets that carry bytes and file descriptors.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "os/unique_fd.h"

namespace warmset::os {

struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Binds path with mode 0600 and listens, non-blocking. A socket file whose
// listener is gone is replaced; a live one is kAlreadyRunning.
StatusOr<UniqueFd> ListenUnix(const std::string& path);
// kDaemonUnavailable when nobody listens there, kTimeout when its queue of connections
// stays full. The socket's sends wait no longer than that either.
StatusOr<UniqueFd> ConnectUnix(const std::string& path,
                               std::chrono::milliseconds patience = std::chrono::seconds(10));
// One pending connection, non-blocking; invalid when there is none.
StatusOr<UniqueFd> AcceptUnix(int listener);
// Two connected ends, blocking, close-on-exec.
StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair();
StatusOr<PeerCredentials> PeerOf(int socket);
Status SetNonBlocking(int fd, bool non_blocking);

// The kernel's limit on descriptors in one message (SCM_MAX_FD).
inline constexpr size_t kMaxPassedFds = 253;

enum class SocketEvent { kReadable, kWritable };
// Waits until the socket can be read from or written to without blocking, or its
// peer is gone (true), or the time is over (false).
StatusOr<bool> WaitForSocket(int socket, SocketEvent event, std::chrono::milliseconds timeout);

// Sends what the socket takes now, with the descriptors on the first byte.
// Returns the bytes taken, 0 when a non-blocking socket is full (then no
// descriptor was sent). REQUIRES: data is not empty, fds.size() <= kMaxPassedFds.
StatusOr<size_t> SendWithFds(int socket, std::span<const std::byte> data,
                             std::span<const int> fds);

struct Received {
  size_t bytes = 0;
  bool closed = false;       // the peer is gone
  bool would_block = false;  // nothing there, on a non-blocking socket
};
// Receives into buffer; descriptors are appended, close-on-exec. Descriptors
// that the kernel had to drop (MSG_CTRUNC) are kInvalidRequest.
StatusOr<Received> ReceiveWithFds(int socket, std::span<std::byte> buffer,
                                  std::vector<UniqueFd>& fds);

}  // namespace warmset::os

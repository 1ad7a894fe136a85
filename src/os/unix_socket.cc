#include "os/unix_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fmt/format.h"
#include "os/fault.h"

namespace warmset::os {
namespace {

StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error(ErrorCode::kInvalidConfig,
                 fmt::format("the socket path {} is longer than {} bytes; set $WARMSET_SOCKET",
                             path, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

StatusOr<UniqueFd> NewSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, "create a socket");
  return fd;
}

}  // namespace

StatusOr<UniqueFd> ListenUnix(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  if (ConnectUnix(path).ok()) {
    return Error(ErrorCode::kAlreadyRunning,
                 fmt::format("a daemon already listens on {}; stop it with `warmset shutdown`",
                             path));
  }
  ::unlink(path.c_str());
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  const mode_t old_mask = ::umask(0177);
  const int bound =
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int bind_error = errno;
  ::umask(old_mask);
  if (bound != 0) return ErrnoError(bind_error, "bind " + path);
  if (::listen(fd.get(), 128) != 0) return ErrnoError(errno, "listen on " + path);
  RETURN_IF_ERROR(SetNonBlocking(fd.get(), true));
  return fd;
}

StatusOr<UniqueFd> ConnectUnix(const std::string& path, std::chrono::milliseconds patience) {
  ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  const timeval limit{.tv_sec = patience.count() / 1000,
                      .tv_usec = static_cast<suseconds_t>(patience.count() % 1000 * 1000)};
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    return ErrnoError(errno, "limit a socket's waiting");
  }
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EACCES || errno == EPERM) return ErrnoError(errno, "connect to " + path);
    if (errno == EAGAIN) {
      return Error(ErrorCode::kTimeout,
                   fmt::format("the daemon at {} has accepted no connection for {:g} s", path,
                               static_cast<double>(patience.count()) / 1000));
    }
    return Error(ErrorCode::kDaemonUnavailable,
                 fmt::format("no daemon listens on {}; start one with `warmset serve`", path));
  }
  return fd;
}

StatusOr<UniqueFd> AcceptUnix(int listener) {
  if (const int fault = InjectedFault("accept4")) return ErrnoError(fault, "accept a connection");
  UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid() && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
    return ErrnoError(errno, "accept a connection");
  }
  return fd;
}

StatusOr<std::pair<UniqueFd, UniqueFd>> MakeSocketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoError(errno, "create a socket pair");
  }
  return std::pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

StatusOr<PeerCredentials> PeerOf(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return ErrnoError(errno, "ask who is connected");
  }
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

Status SetNonBlocking(int fd, bool non_blocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 ||
      ::fcntl(fd, F_SETFL, non_blocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) != 0) {
    return ErrnoError(errno, "set a socket's mode");
  }
  return OkStatus();
}

StatusOr<bool> WaitForSocket(int socket, SocketEvent event, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const short wanted = event == SocketEvent::kReadable ? POLLIN : POLLOUT;
  pollfd waited{.fd = socket, .events = wanted, .revents = 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    const int ready = ::poll(&waited, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return ErrnoError(errno, "wait for a socket");
  }
}

StatusOr<size_t> SendWithFds(int socket, std::span<const std::byte> data,
                             std::span<const int> fds) {
  if (const int fault = InjectedFault("sendmsg")) return ErrnoError(fault, "send");
  iovec chunk{const_cast<std::byte*>(data.data()), data.size()};
  msghdr message{};
  message.msg_iov = &chunk;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPassedFds)];
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return size_t{0};
  if (sent < 0) return ErrnoError(errno, "send");
  return static_cast<size_t>(sent);
}

StatusOr<Received> ReceiveWithFds(int socket, std::span<std::byte> buffer,
                                  std::vector<UniqueFd>& fds) {
  if (const int fault = InjectedFault("recvmsg")) return ErrnoError(fault, "receive");
  iovec chunk{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxPassedFds)];
  msghdr message{};
  message.msg_iov = &chunk;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Received{.would_block = true};
  if (got < 0 && errno == ECONNRESET) return Received{.closed = true};
  if (got < 0) return ErrnoError(errno, "receive");

  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return Error(ErrorCode::kInvalidRequest, "more descriptors were sent than can be received");
  }
  return Received{.bytes = static_cast<size_t>(got), .closed = got == 0};
}

}  // namespace warmset::os

#include "client/frame_io.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "client/errors.h"

namespace warmset::inline client_v1::client_internal {
namespace {

constexpr size_t kHeaderBytes = 8;
constexpr size_t kMaxPayloadBytes = 16 * 1024 * 1024;
constexpr size_t kMaxFds = 253;  // SCM_MAX_FD of the kernel

std::string EncodeFrame(std::string_view payload, size_t fds) {
  std::string frame(kHeaderBytes, '\0');
  const auto size = static_cast<uint32_t>(payload.size());
  std::memcpy(frame.data(), &size, sizeof size);
  frame[5] = static_cast<char>(fds);
  return frame.append(payload);
}

// Fills buffer; descriptors that come along are appended.
std::optional<ClientError> ReceiveAll(int socket, std::span<char> buffer,
                                      std::vector<OwnedFd>& fds) {
  while (!buffer.empty()) {
    iovec chunk{buffer.data(), buffer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    msghdr message{};
    message.msg_iov = &chunk;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return TimedOut();
    if (got <= 0) {
      return MakeError("daemon_unavailable",
                       "the daemon ended the connection before it answered; see its log");
    }
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
      return MakeError("io_error",
                       "descriptors from the daemon were lost; raise this program's limit of open "
                       "files (ulimit -n)");
    }
    buffer = buffer.subspan(static_cast<size_t>(got));
  }
  return std::nullopt;
}

}  // namespace

SendResult SendFrame(int socket, std::string_view payload, std::span<const int> fds, bool wait) {
  if (payload.size() > kMaxPayloadBytes || fds.size() > kMaxFds) return SendResult::kFailed;
  const std::string frame = EncodeFrame(payload, fds.size());
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  for (size_t sent = 0; sent < frame.size();) {
    iovec chunk{const_cast<char*>(frame.data()) + sent, frame.size() - sent};
    msghdr message{};
    message.msg_iov = &chunk;
    message.msg_iovlen = 1;
    if (sent == 0 && !fds.empty()) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(fds.size_bytes());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(fds.size_bytes());
      std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    const ssize_t taken = ::sendmsg(socket, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    if (taken >= 0) {
      sent += static_cast<size_t>(taken);
    } else if (errno != EINTR) {
      const bool full = errno == EAGAIN || errno == EWOULDBLOCK;
      return full && sent == 0 ? SendResult::kWouldBlock : SendResult::kFailed;
    }
  }
  return SendResult::kSent;
}

std::optional<ClientError> ReceiveFrame(int socket, ReceivedFrame& frame) {
  char header[kHeaderBytes];
  if (auto error = ReceiveAll(socket, header, frame.fds)) return error;
  uint32_t payload_bytes = 0;
  uint16_t flags = 0;
  std::memcpy(&payload_bytes, header, sizeof payload_bytes);
  std::memcpy(&flags, header + 6, sizeof flags);
  if (payload_bytes > kMaxPayloadBytes || header[4] != 0 || flags != 0) {
    return BadReply("no frame of this protocol");
  }
  frame.payload.resize(payload_bytes);
  if (auto error = ReceiveAll(socket, frame.payload, frame.fds)) return error;
  if (frame.fds.size() != static_cast<uint8_t>(header[5])) {
    return BadReply("another number of descriptors than announced");
  }
  return std::nullopt;
}

}  // namespace warmset::inline client_v1::client_internal

#include "client/frame_io.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "client/errors.h"

namespace warmset::inline client_v1::client_internal {
namespace {

constexpr size_t kHeaderBytes = 8;
constexpr size_t kMaxPayloadBytes = 16 * 1024 * 1024;
constexpr size_t kMaxFds = 253;  // SCM_MAX_FD of the kernel
constexpr size_t kReadAheadBytes = 4096;

std::string EncodeFrame(std::string_view payload, size_t fds) {
  std::string frame(kHeaderBytes, '\0');
  const auto size = static_cast<uint32_t>(payload.size());
  std::memcpy(frame.data(), &size, sizeof size);
  frame[5] = static_cast<char>(fds);
  return frame.append(payload);
}

// Fills a part of buffer; descriptors that come along are appended.
std::optional<ClientError> ReceiveSome(int socket, std::span<char> buffer, size_t& received,
                                       std::vector<OwnedFd>& fds) {
  iovec chunk{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  msghdr message{};
  message.msg_iov = &chunk;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
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
  received = static_cast<size_t>(got);
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

std::optional<ClientError> FrameReceiver::Receive(int socket, ReceivedFrame& frame) {
  size_t received = 0;
  while (ahead_.size() < kHeaderBytes) {
    char chunk[kReadAheadBytes];
    if (auto error = ReceiveSome(socket, chunk, received, fds_)) return error;
    ahead_.append(chunk, received);
  }
  uint32_t payload_bytes = 0;
  uint16_t flags = 0;
  std::memcpy(&payload_bytes, ahead_.data(), sizeof payload_bytes);
  std::memcpy(&flags, ahead_.data() + 6, sizeof flags);
  const auto fds = static_cast<uint8_t>(ahead_[5]);
  if (payload_bytes > kMaxPayloadBytes || ahead_[4] != 0 || flags != 0) {
    return BadReply("no frame of this protocol");
  }
  frame.payload = ahead_.substr(kHeaderBytes, payload_bytes);
  size_t filled = frame.payload.size();
  ahead_.erase(0, kHeaderBytes + filled);
  frame.payload.resize(payload_bytes);
  for (; filled < payload_bytes; filled += received) {
    const std::span<char> rest = std::span(frame.payload).subspan(filled);
    if (auto error = ReceiveSome(socket, rest, received, fds_)) return error;
  }
  // They come with a frame's first byte: more are a later frame's, which has begun.
  if (fds_.size() < fds || (fds_.size() > fds && ahead_.empty())) {
    return BadReply("another number of descriptors than announced");
  }
  const auto end = fds_.begin() + fds;
  frame.fds.assign(std::make_move_iterator(fds_.begin()), std::make_move_iterator(end));
  fds_.erase(fds_.begin(), end);
  return std::nullopt;
}

}  // namespace warmset::inline client_v1::client_internal

#include "isolate/border.h"

#include <algorithm>
#include <cstring>

#include "base/digest.h"
#include "base/strong.h"

namespace warmset::border {
namespace {

struct Header {
  uint32_t payload_bytes;
  FrameType type;
  uint8_t leaving;
  uint16_t zero;
};
static_assert(sizeof(Header) == 8);

// A frame up to this size goes out in one call.
constexpr size_t kSmallFrame = 64 * kKiB;
// Memory is filled as it arrives, whatever a header claims.
constexpr size_t kChunk = 4 * kMiB;

Status Broken(std::string_view what) { return Error(ErrorCode::kCorruptedModel, what); }

}  // namespace

StatusOr<Border> Border::WithDeadlines(os::UniqueFd socket) {
  RETURN_IF_ERROR(os::SetNonBlocking(socket.get(), true));
  return Border(std::move(socket));
}

Status Border::Send(FrameType type, std::string_view payload, int fd, bool leaving) {
  const Header header{.payload_bytes = static_cast<uint32_t>(payload.size()),
                      .type = type,
                      .leaving = leaving,
                      .zero = 0};
  std::string first(reinterpret_cast<const char*>(&header), sizeof header);
  const size_t together = std::min(payload.size(), kSmallFrame);
  first.append(payload.substr(0, together));
  const std::span<const int> fds(&fd, fd >= 0 ? 1 : 0);
  RETURN_IF_ERROR(SendAll(AsBytes(first), fds));
  return SendAll(AsBytes(payload.substr(together)), {});
}

StatusOr<Frame> Border::Receive(uint64_t max_payload) {
  Header header{};
  std::vector<os::UniqueFd> fds;
  RETURN_IF_ERROR(ReceiveAll(std::as_writable_bytes(std::span(&header, 1)), fds));
  const bool known = header.type >= FrameType::kReady && header.type <= FrameType::kTree;
  if (!known || header.leaving > 1 || header.zero != 0) return Broken("a frame of no known type");
  if (header.payload_bytes > max_payload) return Broken("a frame that is too long");

  Frame frame{.type = header.type, .leaving = header.leaving != 0, .payload = {}, .fd = {}};
  frame.payload.reserve(header.payload_bytes);
  while (frame.payload.size() < header.payload_bytes) {
    const size_t begin = frame.payload.size();
    frame.payload.resize(std::min<size_t>(header.payload_bytes, begin + kChunk));
    RETURN_IF_ERROR(ReceiveAll(
        std::as_writable_bytes(std::span(frame.payload)).subspan(begin), fds));
  }
  if (fds.size() > 1) return Broken("a frame with several descriptors");
  if (!fds.empty()) frame.fd = std::move(fds.front());
  return frame;
}

Status Border::SendAll(std::span<const std::byte> data, std::span<const int> fds) {
  while (!data.empty()) {
    ASSIGN_OR_RETURN(const size_t sent, os::SendWithFds(socket_.get(), data, fds));
    if (sent == 0) {
      RETURN_IF_ERROR(Wait(os::SocketEvent::kWritable));
      continue;
    }
    data = data.subspan(sent);
    fds = {};
  }
  return OkStatus();
}

Status Border::ReceiveAll(std::span<std::byte> buffer, std::vector<os::UniqueFd>& fds) {
  while (!buffer.empty()) {
    ASSIGN_OR_RETURN(const os::Received received,
                     os::ReceiveWithFds(socket_.get(), buffer, fds));
    if (received.closed) return Error(ErrorCode::kIoError, "the other end is gone");
    if (received.would_block) RETURN_IF_ERROR(Wait(os::SocketEvent::kReadable));
    buffer = buffer.subspan(received.bytes);
  }
  return OkStatus();
}

Status Border::Wait(os::SocketEvent event) const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      deadline_ - std::chrono::steady_clock::now());
  if (left.count() > 0) {
    ASSIGN_OR_RETURN(const bool ready, os::WaitForSocket(socket_.get(), event, left));
    if (ready) return OkStatus();
  }
  return Error(ErrorCode::kTimeout, "the other end took too long");
}

}  // namespace warmset::border

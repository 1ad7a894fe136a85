#include "wire/frame.h"

#include <cstring>
#include <iterator>
#include <utility>

#include "base/byte_reader.h"
#include "fmt/format.h"

namespace warmset::wire {
namespace {

constexpr size_t kReceiveBytes = 64 * kKiB;

Status Malformed(std::string_view what) {
  return Error(ErrorCode::kInvalidRequest, fmt::format("malformed frame: {}", what));
}

}  // namespace

SharedFd Share(os::UniqueFd fd) {
  const auto owner = std::make_shared<const os::UniqueFd>(std::move(fd));
  return {owner->get(), owner};
}

StatusOr<os::Received> FrameReader::ReceiveFrom(int socket) {
  std::byte chunk[kReceiveBytes];
  std::vector<os::UniqueFd> fds;
  ASSIGN_OR_RETURN(const os::Received received, os::ReceiveWithFds(socket, chunk, fds));
  RETURN_IF_ERROR(Append({chunk, received.bytes}, std::move(fds)));
  return received;
}

Status FrameReader::Append(std::span<const std::byte> data, std::vector<os::UniqueFd> fds) {
  RETURN_IF_ERROR(broken_);
  if (consumed_ > 0) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
  buffer_.append(reinterpret_cast<const char*>(data.data()), data.size());
  arrived_fds_.insert(arrived_fds_.end(), std::make_move_iterator(fds.begin()),
                      std::make_move_iterator(fds.end()));
  // One set may wait for the rest of a header while the next frame's arrives.
  if (arrived_fds_.size() > 2 * os::kMaxPassedFds) {
    broken_ = Malformed("more descriptors than any header may announce");
  }
  return broken_;
}

StatusOr<FrameReader::Header> FrameReader::ParseHeader(std::string_view raw) {
  ByteReader reader(std::as_bytes(std::span(raw)));
  ASSIGN_OR_RETURN(const uint32_t payload_bytes, reader.Read<uint32_t>());
  ASSIGN_OR_RETURN(const uint8_t encoding, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint8_t fds, reader.Read<uint8_t>());
  ASSIGN_OR_RETURN(const uint16_t flags, reader.Read<uint16_t>());
  if (payload_bytes > kMaxPayloadBytes) {
    return Malformed(fmt::format("{} bytes of payload, at most {} are allowed", payload_bytes,
                                 kMaxPayloadBytes));
  }
  if (encoding > static_cast<uint8_t>(Encoding::kJson)) {
    return Malformed(fmt::format("unknown encoding {}", encoding));
  }
  if (fds > os::kMaxPassedFds) return Malformed(fmt::format("{} descriptors announced", fds));
  if (flags != 0) return Malformed(fmt::format("unknown flags {:#x}", flags));
  return Header{payload_bytes, static_cast<Encoding>(encoding), fds};
}

StatusOr<std::optional<Frame>> FrameReader::Next() {
  RETURN_IF_ERROR(broken_);
  if (!header_ && unread().size() >= kFrameHeaderBytes) {
    StatusOr<Header> header = ParseHeader(unread().substr(0, kFrameHeaderBytes));
    if (!header.ok()) return broken_ = header.status();
    // They ride on the frame's first byte, so they are here by now.
    if (arrived_fds_.size() < header->fds) {
      return broken_ = Malformed(fmt::format("{} descriptors announced, {} came", header->fds,
                                             arrived_fds_.size()));
    }
    header_ = *header;
    consumed_ += kFrameHeaderBytes;
    for (; frame_fds_.size() < header_->fds; arrived_fds_.pop_front()) {
      frame_fds_.push_back(std::move(arrived_fds_.front()));
    }
  }
  const bool whole = header_ && unread().size() >= header_->payload_bytes;
  // What is left over must belong to a later frame, of which something is here.
  const size_t begun_bytes = unread().size() - (whole ? header_->payload_bytes : 0);
  const bool later_frame_begun = begun_bytes > 0 && (whole || !header_);
  if (!arrived_fds_.empty() && !later_frame_begun) {
    return broken_ = Malformed("more descriptors came than were announced");
  }
  if (!whole) return std::optional<Frame>();

  Frame frame{header_->encoding, std::string(unread().substr(0, header_->payload_bytes)),
              std::exchange(frame_fds_, {})};
  consumed_ += header_->payload_bytes;
  header_.reset();
  return std::optional<Frame>(std::move(frame));
}

Status FrameWriter::Push(Encoding encoding, std::string_view payload, std::vector<SharedFd> fds,
                         uint64_t replace_key) {
  if (payload.size() > kMaxPayloadBytes) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("a message of {} bytes is above the limit of {}; ask for less at once",
                             payload.size(), kMaxPayloadBytes));
  }
  if (fds.size() > os::kMaxPassedFds) {
    return Error(ErrorCode::kInvalidRequest,
                 fmt::format("a message with {} descriptors is above the limit of {}", fds.size(),
                             os::kMaxPassedFds));
  }
  ByteWriter header;
  header.Write(static_cast<uint32_t>(payload.size()));
  header.Write(static_cast<uint8_t>(encoding));
  header.Write(static_cast<uint8_t>(fds.size()));
  header.Write(uint16_t{0});
  Outgoing frame{header.Take().append(payload), std::move(fds), replace_key};

  if (replace_key != 0) {
    for (Outgoing& queued : queue_) {
      if (queued.replace_key != replace_key || queued.sent > 0) continue;
      queued_bytes_ += CostOf(frame);
      queued_bytes_ -= CostOf(queued);
      queued = std::move(frame);
      return OkStatus();
    }
  }
  if (queued_bytes_ + CostOf(frame) > max_queued_bytes_) {
    return Error(ErrorCode::kIoError,
                 fmt::format("the peer left {} bytes of messages unread", queued_bytes_));
  }
  queued_bytes_ += CostOf(frame);
  queue_.push_back(std::move(frame));
  return OkStatus();
}

StatusOr<bool> FrameWriter::FlushTo(int socket) {
  while (!queue_.empty()) {
    Outgoing& frame = queue_.front();
    std::vector<int> fds;
    if (frame.sent == 0) {
      for (const SharedFd& shared : frame.fds) fds.push_back(shared.fd);
    }
    const auto rest = std::as_bytes(std::span(frame.bytes)).subspan(frame.sent);
    ASSIGN_OR_RETURN(const size_t sent, os::SendWithFds(socket, rest, fds));
    if (sent == 0) return false;
    frame.sent += sent;
    if (frame.sent < frame.bytes.size()) continue;
    queued_bytes_ -= CostOf(frame);
    queue_.pop_front();
  }
  return true;
}

}  // namespace warmset::wire

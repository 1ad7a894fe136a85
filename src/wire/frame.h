// Frames: how messages and the descriptors that belong to them travel on a
// Unix stream socket. The format is defined in docs/formats/wire.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "os/unique_fd.h"
#include "os/unix_socket.h"

namespace warmset::wire {

enum class Encoding : uint8_t {
  kProtobuf = 0,
  kJson = 1,  // protobuf's JSON mapping, fields named as in the .proto
};

inline constexpr size_t kFrameHeaderBytes = 8;
inline constexpr size_t kMaxPayloadBytes = 16 * kMiB;

// A frame as received. Its descriptors are open files of this process that a
// peer chose: check what they are before use.
struct Frame {
  Encoding encoding = Encoding::kProtobuf;
  std::string payload;
  std::vector<os::UniqueFd> fds;
};

// A descriptor to send, and what keeps it open until then.
struct SharedFd {
  int fd = -1;
  std::shared_ptr<const void> owner;
};
SharedFd Share(os::UniqueFd fd);

// Cuts a byte stream into frames. Holds at most one unfinished frame and what
// one receive brought, however the peer behaves. The first error is final: the
// stream can't be resynchronised, the caller closes it. Not thread-safe.
class FrameReader {
 public:
  // Receives once from socket. After it, take frames with Next() until there
  // are none.
  StatusOr<os::Received> ReceiveFrom(int socket);

  // The same for bytes that were received elsewhere, with the descriptors that
  // came with them.
  Status Append(std::span<const std::byte> data, std::vector<os::UniqueFd> fds);

  // The next whole frame; nothing when more bytes are needed. kInvalidRequest
  // for a header that breaks the format, a length above kMaxPayloadBytes, and
  // more or fewer descriptors than the header says.
  StatusOr<std::optional<Frame>> Next();

  // Whether a frame has begun and not ended: a peer that leaves now left early.
  bool in_frame() const { return header_.has_value() || !unread().empty(); }

 private:
  struct Header {
    uint32_t payload_bytes = 0;
    Encoding encoding = Encoding::kProtobuf;
    uint8_t fds = 0;
  };
  static StatusOr<Header> ParseHeader(std::string_view raw);
  std::string_view unread() const { return std::string_view(buffer_).substr(consumed_); }

  std::string buffer_;
  size_t consumed_ = 0;                   // of buffer_, by frames already returned
  std::optional<Header> header_;          // of the frame that has begun
  std::vector<os::UniqueFd> frame_fds_;   // that belong to header_
  std::deque<os::UniqueFd> arrived_fds_;  // of frames whose header is not whole yet
  Status broken_;                         // the first error
};

// Queues frames and sends them as the socket takes them, in order. Not
// thread-safe.
class FrameWriter {
 public:
  // A queue that holds more than max_queued_bytes takes no more frames.
  explicit FrameWriter(size_t max_queued_bytes) : max_queued_bytes_(max_queued_bytes) {}

  // Adds a frame. With a replace_key other than 0 it takes the place of an
  // unsent frame with the same key, if there is one (progress of one request).
  // The queue is unchanged on failure: kInvalidRequest when the payload or the
  // number of descriptors is above the limits, kIoError when the queue is full.
  Status Push(Encoding encoding, std::string_view payload, std::vector<SharedFd> fds,
              uint64_t replace_key = 0);

  // Sends until the queue is empty (true) or a non-blocking socket is full
  // (false). On a blocking socket it waits. After an error close the socket.
  StatusOr<bool> FlushTo(int socket);

  bool empty() const { return queue_.empty(); }
  // Bytes not yet taken by the socket, with what the queue itself costs.
  size_t queued_bytes() const { return queued_bytes_; }

 private:
  struct Outgoing {
    std::string bytes;  // header and payload
    std::vector<SharedFd> fds;
    uint64_t replace_key = 0;
    size_t sent = 0;
  };
  static size_t CostOf(const Outgoing& frame) { return sizeof(Outgoing) + frame.bytes.size(); }

  const size_t max_queued_bytes_;
  std::deque<Outgoing> queue_;
  size_t queued_bytes_ = 0;
};

}  // namespace warmset::wire

// The socket between a process that trusts no file and one that no file can use:
// frames of bounded length, each with at most one descriptor.
//
// Both ends are of one build of one program, so the format is private to it; what
// the helper says first lets the other side check that. docs/design/inspect.md,
// "The process border".
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "os/unique_fd.h"
#include "os/unix_socket.h"

namespace warmset::border {

enum class FrameType : uint8_t {
  // From the helper.
  kReady = 1,     // Readiness: it is in its sandbox
  kOpen = 2,      // OpenRequest; answered by kOpened or kError
  kManifest = 3,  // an encoded manifest: the end of kInspect
  kShards = 4,    // names: the end of kListShards
  // From either.
  kError = 5,  // a Status: of an open, or the end of a request
  // To the helper.
  kInspect = 6,     // ModelFiles; the only file's descriptor may come along
  kListShards = 7,  // with the index's descriptor
  kOpened = 8,      // with the descriptor
  // From a reader that finds the models itself: the one that is at hand.
  kTarget = 9,
  kReadTree = 10,  // to the helper: with the descriptor of a hub's tree
  kTree = 11,      // from it: the end of kReadTree
};

struct Frame {
  FrameType type = FrameType::kError;
  bool leaving = false;  // the helper's last frame: it ends, to give its memory back
  std::string payload;
  os::UniqueFd fd;  // may be none
};

// Longer ones are refused. An answer holds at most what a helper can.
inline constexpr uint64_t kMaxRequestBytes = uint64_t{64} << 20;
inline constexpr uint64_t kMaxAnswerBytes = uint64_t{256} << 20;

using Deadline = std::chrono::steady_clock::time_point;

// One end. Not thread-safe. An error leaves it unusable.
class Border {
 public:
  // Waits for the other end without limit.
  explicit Border(os::UniqueFd socket) : socket_(std::move(socket)) {}
  // Waits until the deadline that is set before each exchange.
  static StatusOr<Border> WithDeadlines(os::UniqueFd socket);
  void SetDeadline(Deadline deadline) { deadline_ = deadline; }

  // kTimeout at the deadline, kIoError when the other end is gone.
  Status Send(FrameType type, std::string_view payload, int fd = -1, bool leaving = false);
  // Besides: kCorruptedModel for a frame that is longer than max_payload, of no
  // known type, or has several descriptors.
  StatusOr<Frame> Receive(uint64_t max_payload);

 private:
  Status SendAll(std::span<const std::byte> data, std::span<const int> fds);
  Status ReceiveAll(std::span<std::byte> buffer, std::vector<os::UniqueFd>& fds);
  Status Wait(os::SocketEvent event) const;

  os::UniqueFd socket_;
  Deadline deadline_{};  // not looked at while the socket itself waits
};

}  // namespace warmset::border

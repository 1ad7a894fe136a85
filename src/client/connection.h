// One socket, one session. See docs/formats/wire.md for what goes over it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "client/frame_io.h"
#include "client/messages.h"
#include "client/owned_fd.h"
#include "warmset/client.h"

namespace warmset::inline client_v1::client_internal {

// $WARMSET_SOCKET, else the places that client.h names.
std::string DefaultSocketPath();

// Call() and Close() are for one thread at a time; Release() and the destructor
// may run on any thread meanwhile, and never block.
//
// A forked child must not use its parent's socket: in the child it is closed at
// once (pthread_atfork), usable() is false, and the other calls do nothing.
class Connection {
 public:
  struct Answer {
    Reply reply;
    std::vector<OwnedFd> fds;
  };

  static Result<std::shared_ptr<Connection>> Open(const std::string& socket_path,
                                                  std::string_view client_name,
                                                  uint64_t held_bytes,
                                                  std::chrono::milliseconds timeout);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Sends a request (without its id) and waits for its last response. Adds all
  // responses but progress to answers, also when it fails later: they may bring
  // leases. An error response is returned as that error. "timeout", and the end of
  // the session, when the daemon is silent for longer than `patience` (zero: for
  // ever).
  std::optional<ClientError> Call(std::string_view request, std::span<const int> fds,
                                  const ProgressFunction& progress,
                                  std::chrono::milliseconds patience,
                                  std::vector<Answer>* answers);

  // Gives a lease back: now, or with the next request if the socket is full.
  void Release(uint64_t lease);

  // Ends the session.
  void Close();

  // What the daemon said when it ended this lease by itself; nothing while it holds.
  // Reads the events that have come, unless a call on another thread does. Never blocks.
  std::optional<ClientError> EndOf(uint64_t lease);

  // Whether it belongs to this process and the daemon has not closed it.
  bool usable();
  bool inherited() const;

 private:
  friend class LiveConnections;
  Connection(OwnedFd socket, std::chrono::milliseconds patience);

  std::optional<ClientError> Handshake(std::string_view client_name, uint64_t held_bytes);
  void SendReleases();
  // False when the socket is full. REQUIRES: send_mutex_ is held.
  bool TrySendReleases(std::span<const uint64_t> leases);
  std::optional<ClientError> ReceiveAnswer(Answer& answer);
  // Reads what came between calls; false when that is no event but the session's end.
  // REQUIRES: receive_mutex_ is held.
  bool TakeEvents();
  // False for what is no event.
  bool NoteEvent(const Reply& reply);

  const pid_t owner_;
  OwnedFd socket_;
  std::chrono::milliseconds patience_;  // as it is set on the socket
  FrameReceiver receiver_;
  std::atomic<uint64_t> next_id_ = 1;

  std::mutex receive_mutex_;  // held while frames are received
  std::mutex send_mutex_;     // held while a frame is sent
  std::mutex mutex_;
  std::map<uint64_t, ClientError> ended_;  // guarded by mutex_: leases, by events
  std::vector<uint64_t> released_;  // guarded by mutex_: not yet sent
};

// A lease that ends with this object. Move-only.
class Lease {
 public:
  Lease() = default;
  Lease(std::shared_ptr<Connection> connection, uint64_t id)
      : connection_(std::move(connection)), id_(id) {}
  Lease(Lease&&) = default;
  Lease& operator=(Lease&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~Lease() {
    if (connection_) connection_->Release(id_);
  }

  // See Connection::EndOf().
  std::optional<ClientError> End() const {
    return connection_ ? connection_->EndOf(id_) : std::nullopt;
  }

 private:
  std::shared_ptr<Connection> connection_;
  uint64_t id_ = 0;
};

}  // namespace warmset::inline client_v1::client_internal

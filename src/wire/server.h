// The daemon's end of the socket: accepts clients, keeps their sessions, and
// hands their requests to one handler.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "os/event_loop.h"
#include "os/unique_fd.h"
#include "os/unix_socket.h"
#include "warmset/v1/session.pb.h"
#include "wire/frame.h"

namespace warmset::wire {

// Never used twice in a server's life.
using SessionId = Strong<struct SessionIdTag, uint64_t>;

struct SessionInfo {
  SessionId id;
  os::PeerCredentials peer;
  v1::Hello hello;
};

// What a server tells the daemon. Called on the loop's thread, and must not
// block it. A handler may call the server from inside these calls; none of them
// is made from inside a call to the server, its destructor excepted.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;

  // A client said Hello, and the versions agree. Its requests follow.
  virtual void SessionOpened(const SessionInfo& session) = 0;

  // A request other than Hello. The handler answers it by Server::Respond(),
  // now or later, the last time with `more` unset; a Release is not answered.
  // The descriptors are what the client chose to send.
  virtual void Handle(SessionId session, const v1::Request& request,
                      std::vector<os::UniqueFd> fds) = 0;

  // The connection is gone; answers to what is still being worked on are
  // dropped. Called once for each SessionOpened(), also when the server goes.
  virtual void SessionEnded(SessionId session) = 0;
};

struct ServerOptions {
  std::string socket_path = {};
  // Users that may connect beside the daemon's own; others are told
  // kPermissionDenied and closed.
  std::vector<uid_t> allowed_uids = {};

  size_t max_sessions = 1024;
  // A request above it is refused with kInvalidRequest; the session goes on.
  size_t max_requests_in_flight = 64;
  // What a session may leave unread before it is closed.
  size_t max_unread_bytes = 64 * kMiB;
  // What a refused client has for reading the answers it had until then.
  std::chrono::milliseconds refusal_limit{1000};
};

// Whatever a client sends, or does not read, costs bounded memory and ends at
// most its own session. Loop thread only; the loop and the handler must outlive
// the server.
class Server {
 public:
  // Listens on options.socket_path (mode 0600). kAlreadyRunning when another
  // daemon does.
  static StatusOr<std::unique_ptr<Server>> Start(ServerOptions options, os::EventLoop* loop,
                                                 RequestHandler* handler);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // Ends every session, stops listening and removes the socket's file.
  ~Server();

  // Sends a response to one request; descriptors stay open until it is sent.
  // A response of a session that has ended, or to a request that is answered
  // already, is dropped. One that is too large (16 MiB, 253 descriptors)
  // arrives as an error. Progress takes the place of unsent older progress of
  // the same request.
  void Respond(SessionId session, v1::Response response, std::vector<SharedFd> fds = {});
  // Sends the error as the request's last response. REQUIRES: error is not OK.
  void RespondError(SessionId session, uint64_t request_id, const Status& error);

  // Sends what no request asked for: an event, whose id is 0. Clients of protocol 1.1
  // and older get none, as they would take it for the end of their session.
  void Notify(SessionId session, v1::Response event);

  // Whether the request still waits for its last response: work for one that
  // does not can stop.
  bool InFlight(SessionId session, uint64_t request_id) const;
  size_t session_count() const { return sessions_.size(); }

  // Stops listening, and has the loop call done when all that was responded is
  // sent, or its session gone, or a second has passed. Call it once.
  void Drain(os::EventLoop::Task done);

 private:
  struct Session;

  Server(ServerOptions options, os::EventLoop* loop, RequestHandler* handler,
         os::UniqueFd listener);

  Status WatchListener();
  void CloseListener();
  void AcceptPending();
  void Admit(os::UniqueFd socket);

  void OnEvents(SessionId id, uint32_t events);
  // Works off some of the frames that were received.
  void TakeTurn(Session& session);
  void OnFrame(Session& session, Frame frame);
  void OnHello(Session& session, const v1::Request& request);

  Status Queue(Session& session, Encoding encoding, v1::Response& response,
               std::vector<SharedFd> fds);
  void Flush(Session& session);
  // Says why, if the client can hear it.
  void SendRefusal(Session& session, const Status& error, Encoding encoding = Encoding::kProtobuf);
  // Says why, and ends the session when the client has read its answers or its
  // time for that is over.
  void Refuse(Session& session, const Status& error, Encoding encoding = Encoding::kProtobuf);
  // Marks the session as broken, and closes it when the loop comes round: the
  // handler may be in the middle of something that SessionEnded() changes.
  void Break(Session& session);
  void Close(SessionId id);

  std::shared_ptr<Session> Find(SessionId id) const;
  // Runs task from the loop if by then the session, and the server, still are.
  void PostFor(SessionId id, std::function<void(Session&)> task);
  void FinishDrain();

  const ServerOptions options_;
  os::EventLoop* const loop_;
  RequestHandler* const handler_;
  os::UniqueFd listener_;
  std::map<SessionId, std::shared_ptr<Session>> sessions_;
  uint64_t next_session_ = 1;
  std::optional<os::EventLoop::TimerId> accept_timer_;  // while accepting pauses
  os::EventLoop::Task drained_;                         // what Drain() was given
  std::optional<os::EventLoop::TimerId> drain_timer_;
  const std::shared_ptr<const int> alive_ = std::make_shared<const int>();  // expires with this
};

}  // namespace warmset::wire

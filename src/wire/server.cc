#include "wire/server.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <unordered_map>
#include <utility>

#include "fmt/format.h"
#include "wire/message_codec.h"

namespace warmset::wire {
namespace {

constexpr int kAcceptsPerTurn = 32;
// More of one session's frames wait until the others had their turn.
constexpr int kFramesPerTurn = 32;
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr std::chrono::seconds kDrainLimit{1};

uint64_t ProgressKey(const v1::Response& response) {
  return response.has_progress() ? response.id() : 0;
}

}  // namespace

struct Server::Session {
  Session(SessionInfo session, os::UniqueFd connection, size_t max_unread_bytes)
      : info(std::move(session)), socket(std::move(connection)), writer(max_unread_bytes) {}

  SessionInfo info;
  os::UniqueFd socket;
  FrameReader reader;
  FrameWriter writer;
  std::unordered_map<uint64_t, Encoding> in_flight;  // by request id
  bool greeted = false;
  Encoding encoding = Encoding::kProtobuf;  // of Hello: events have it
  bool refused = false;         // nothing is read any more; closed when all is sent
  bool broken = false;          // to be closed as soon as no handler is below us
  bool turn_is_posted = false;  // frames are left in the reader
  uint32_t events = EPOLLIN;
};

StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options, os::EventLoop* loop,
                                                RequestHandler* handler) {
  ASSIGN_OR_RETURN(os::UniqueFd listener, os::ListenUnix(options.socket_path));
  std::unique_ptr<Server> server(
      new Server(std::move(options), loop, handler, std::move(listener)));
  RETURN_IF_ERROR(server->WatchListener());
  return server;
}

Server::Server(ServerOptions options, os::EventLoop* loop, RequestHandler* handler,
               os::UniqueFd listener)
    : options_(std::move(options)),
      loop_(loop),
      handler_(handler),
      listener_(std::move(listener)) {}

Server::~Server() {
  CloseListener();
  if (drain_timer_) loop_->Cancel(*drain_timer_);
  while (!sessions_.empty()) Close(sessions_.begin()->first);
}

Status Server::WatchListener() {
  return loop_->Watch(listener_.get(), EPOLLIN, [this](uint32_t) { AcceptPending(); });
}

void Server::CloseListener() {
  if (!listener_.valid()) return;
  if (accept_timer_) loop_->Cancel(*std::exchange(accept_timer_, std::nullopt));
  loop_->Unwatch(listener_.get());
  // While it listens no other daemon takes the path: what goes is its own.
  ::unlink(options_.socket_path.c_str());
  listener_.Reset();
}

void Server::AcceptPending() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    StatusOr<os::UniqueFd> socket = os::AcceptUnix(listener_.get());
    if (!socket.ok()) {
      // Out of descriptors, most likely. The listener stays readable, so the
      // loop would come back at once: leave it alone for a while.
      loop_->Unwatch(listener_.get());
      accept_timer_ = loop_->RunAfter(kAcceptPause, [this] {
        accept_timer_.reset();
        (void)WatchListener();
      });
      return;
    }
    if (!socket->valid()) return;
    Admit(*std::move(socket));
  }
}

void Server::Admit(os::UniqueFd socket) {
  const StatusOr<os::PeerCredentials> peer = os::PeerOf(socket.get());
  if (!peer.ok()) return;
  const int fd = socket.get();
  const SessionId id(next_session_++);
  const auto session = std::make_shared<Session>(SessionInfo{.id = id, .peer = *peer, .hello = {}},
                                                 std::move(socket), options_.max_unread_bytes);
  const bool allowed =
      peer->uid == ::geteuid() ||
      std::ranges::find(options_.allowed_uids, peer->uid) != options_.allowed_uids.end();
  if (!allowed) {
    SendRefusal(*session, Error(ErrorCode::kPermissionDenied,
                           fmt::format("user {} may not use this daemon; its owner can list the "
                                       "user under [access] uids",
                                       peer->uid)));
    return;
  }
  if (sessions_.size() >= options_.max_sessions) {
    SendRefusal(*session, Error(ErrorCode::kDaemonUnavailable,
                                fmt::format("{} sessions are open, no more are accepted",
                                            sessions_.size())));
    return;
  }
  if (loop_->Watch(fd, EPOLLIN, [this, id](uint32_t events) { OnEvents(id, events); }).ok()) {
    sessions_.emplace(id, session);
  }
}

void Server::OnEvents(SessionId id, uint32_t events) {
  const std::shared_ptr<Session> session = Find(id);
  if (session == nullptr) return;
  if ((events & EPOLLOUT) != 0) Flush(*session);
  if (session->refused) {
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) session->broken = true;
  } else if ((events & ~uint32_t{EPOLLOUT}) != 0 && !session->turn_is_posted) {
    // With frames left over, its next turn is posted already.
    const StatusOr<os::Received> received = session->reader.ReceiveFrom(session->socket.get());
    if (!received.ok()) {
      Refuse(*session, received.status());
    } else if (received->closed) {
      session->broken = true;
    }
    TakeTurn(*session);
  }
  if (session->broken) Close(id);
}

void Server::TakeTurn(Session& session) {
  for (int i = 0; i < kFramesPerTurn && !session.broken && !session.refused; ++i) {
    StatusOr<std::optional<Frame>> frame = session.reader.Next();
    if (!frame.ok()) {
      Refuse(session, frame.status());
      return;
    }
    if (!frame->has_value()) return;
    OnFrame(session, **std::move(frame));
  }
  if (session.broken || session.refused) return;
  session.turn_is_posted = true;
  PostFor(session.info.id, [this](Session& later) {
    later.turn_is_posted = false;
    TakeTurn(later);
  });
}

void Server::OnFrame(Session& session, Frame frame) {
  StatusOr<v1::Request> request = ParseRequest(frame.encoding, frame.payload);
  if (!request.ok()) return Refuse(session, request.status(), frame.encoding);
  const uint64_t id = request->id();
  const auto refuse = [&](std::string_view why) {
    Refuse(session, Error(ErrorCode::kInvalidRequest, why), frame.encoding);
  };
  if (id == 0) return refuse("a request's id must not be 0");
  if (session.in_flight.contains(id)) {
    return refuse(fmt::format("request {} is sent again before it is answered", id));
  }
  if (session.greeted == request->has_hello()) {
    return refuse(session.greeted ? "Hello a second time" : "the first request must be Hello");
  }
  if (request->has_release()) {
    return handler_->Handle(session.info.id, *request, std::move(frame.fds));
  }
  const bool full = session.in_flight.size() >= options_.max_requests_in_flight;
  session.in_flight.emplace(id, frame.encoding);
  if (!session.greeted) return OnHello(session, *request);
  if (full) {
    return RespondError(session.info.id, id,
                        Error(ErrorCode::kInvalidRequest,
                              fmt::format("more than {} requests at once in one session; wait for "
                                          "answers",
                                          options_.max_requests_in_flight)));
  }
  if (request->call_case() == v1::Request::CALL_NOT_SET) {
    return RespondError(
        session.info.id, id,
        Error(ErrorCode::kInvalidRequest,
              fmt::format("this daemon ({}) does not know this request", WARMSET_VERSION)));
  }
  handler_->Handle(session.info.id, *request, std::move(frame.fds));
}

void Server::OnHello(Session& session, const v1::Request& request) {
  session.info.hello = request.hello();
  if (request.hello().protocol_major() != kProtocolMajor) {
    RespondError(
        session.info.id, request.id(),
        Error(ErrorCode::kVersionMismatch,
              fmt::format("the client speaks protocol {}, the daemon ({}) {}; install the "
                          "same version of both",
                          request.hello().protocol_major(), WARMSET_VERSION, kProtocolMajor)));
    session.broken = true;
    return;
  }
  session.greeted = true;
  session.encoding = session.in_flight.at(request.id());
  handler_->SessionOpened(session.info);
  v1::Response response;
  response.set_id(request.id());
  v1::HelloReply& reply = *response.mutable_hello();
  reply.set_protocol_major(kProtocolMajor);
  reply.set_protocol_minor(kProtocolMinor);
  reply.set_version(WARMSET_VERSION);
  reply.set_pid(::getpid());
  Respond(session.info.id, std::move(response));
}

void Server::Respond(SessionId id, v1::Response response, std::vector<SharedFd> fds) {
  const std::shared_ptr<Session> session = Find(id);
  if (session == nullptr || session->broken || session->refused) return;
  const auto request = session->in_flight.find(response.id());
  if (request == session->in_flight.end()) return;
  const Encoding encoding = request->second;
  if (response.has_progress()) response.set_more(true);
  if (!response.more()) session->in_flight.erase(request);

  Status queued = Queue(*session, encoding, response, std::move(fds));
  if (!queued.ok() && CodeOf(queued) != ErrorCode::kIoError) {
    // Too large for a frame. The request ends with saying so.
    session->in_flight.erase(response.id());
    v1::Response instead;
    instead.set_id(response.id());
    *instead.mutable_error() = ToProto(queued);
    queued = Queue(*session, encoding, instead, {});
  }
  // The client does not read. It can do without progress, but without nothing else.
  if (!queued.ok() && !response.has_progress()) return Break(*session);
  Flush(*session);
}

void Server::RespondError(SessionId session, uint64_t request_id, const Status& error) {
  v1::Response response;
  response.set_id(request_id);
  *response.mutable_error() = ToProto(error);
  Respond(session, std::move(response));
}

void Server::Notify(SessionId id, v1::Response event) {
  const std::shared_ptr<Session> session = Find(id);
  if (session == nullptr || !session->greeted || session->broken || session->refused ||
      session->info.hello.protocol_minor() < kFirstMinorWithEvents) {
    return;
  }
  event.set_id(0);
  if (!Queue(*session, session->encoding, event, {}).ok()) return Break(*session);
  Flush(*session);
}

Status Server::Queue(Session& session, Encoding encoding, v1::Response& response,
                     std::vector<SharedFd> fds) {
  MakeUtf8(response);  // paths and what a client sent may be anything
  ASSIGN_OR_RETURN(const std::string payload, Serialize(encoding, response));
  return session.writer.Push(encoding, payload, std::move(fds), ProgressKey(response));
}

void Server::Flush(Session& session) {
  const StatusOr<bool> sent_all = session.writer.FlushTo(session.socket.get());
  if (!sent_all.ok() || (session.refused && *sent_all)) return Break(session);
  const uint32_t events = (session.refused ? 0u : uint32_t{EPOLLIN}) |
                          (*sent_all ? 0u : uint32_t{EPOLLOUT});
  if (events != session.events) {
    if (!loop_->ChangeEvents(session.socket.get(), events).ok()) return Break(session);
    session.events = events;
  }
  if (drained_ && session.writer.empty()) FinishDrain();
}

void Server::SendRefusal(Session& session, const Status& error, Encoding encoding) {
  v1::Response response;
  *response.mutable_error() = ToProto(error);
  // The client may not be reading, or gone: then nobody misses it.
  if (Queue(session, encoding, response, {}).ok()) {
    (void)session.writer.FlushTo(session.socket.get());
  }
}

void Server::Refuse(Session& session, const Status& error, Encoding encoding) {
  SendRefusal(session, error, encoding);
  session.refused = true;
  Flush(session);
  if (session.broken) return;
  loop_->RunAfter(options_.refusal_limit,
                  [this, id = session.info.id, alive = std::weak_ptr<const int>(alive_)] {
                    if (!alive.expired() && Find(id) != nullptr) Close(id);
                  });
}

void Server::Break(Session& session) {
  if (std::exchange(session.broken, true)) return;
  PostFor(session.info.id, [](Session&) {});
}

void Server::PostFor(SessionId id, std::function<void(Session&)> task) {
  loop_->Post([this, id, task = std::move(task), alive = std::weak_ptr<const int>(alive_)] {
    if (alive.expired()) return;
    const std::shared_ptr<Session> session = Find(id);
    if (session == nullptr) return;
    if (!session->broken) task(*session);
    if (session->broken) Close(id);
  });
}

std::shared_ptr<Server::Session> Server::Find(SessionId id) const {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second;
}

void Server::Close(SessionId id) {
  auto node = sessions_.extract(id);
  Session& session = *node.mapped();
  session.broken = true;
  loop_->Unwatch(session.socket.get());
  session.socket.Reset();
  if (session.greeted) handler_->SessionEnded(id);
  if (drained_) FinishDrain();
}

bool Server::InFlight(SessionId session, uint64_t request_id) const {
  const std::shared_ptr<Session> found = Find(session);
  return found != nullptr && !found->broken && !found->refused &&
         found->in_flight.contains(request_id);
}

void Server::Drain(os::EventLoop::Task done) {
  CloseListener();
  drained_ = std::move(done);
  drain_timer_ = loop_->RunAfter(kDrainLimit, [this] {
    drain_timer_.reset();
    if (drained_) std::exchange(drained_, nullptr)();
  });
  FinishDrain();
}

void Server::FinishDrain() {
  for (const auto& [id, session] : sessions_) {
    if (!session->writer.empty()) return;
  }
  if (drained_) loop_->Post(std::exchange(drained_, nullptr));
}

}  // namespace warmset::wire

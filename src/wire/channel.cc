#include "wire/channel.h"

#include <utility>

#include "fmt/format.h"
#include "os/process.h"
#include "os/unix_socket.h"
#include "wire/message_codec.h"
#include "wire/socket_path.h"

namespace warmset::wire {
namespace {

Status DaemonGone() {
  return Error(ErrorCode::kDaemonUnavailable,
               "the daemon ended the connection before it answered; see its log");
}

}  // namespace

StatusOr<Channel> Channel::Connect(const std::string& socket_path, std::string_view client) {
  RETURN_IF_ERROR(CheckSocketFolder(socket_path));
  ASSIGN_OR_RETURN(os::UniqueFd socket, os::ConnectUnix(socket_path));
  Channel channel(std::move(socket));
  v1::Request request;
  request.mutable_hello()->set_protocol_major(kProtocolMajor);
  request.mutable_hello()->set_protocol_minor(kProtocolMinor);
  request.mutable_hello()->set_client(ToUtf8(client));
  ASSIGN_OR_RETURN(const Answer answer, channel.Call(std::move(request)));
  channel.daemon_ = answer.response.hello();
  return channel;
}

StatusOr<Answer> Channel::Call(v1::Request request, std::vector<SharedFd> fds,
                               const OnProgress& on_progress) {
  ASSIGN_OR_RETURN(std::vector<Answer> answers,
                   CallForAll(std::move(request), std::move(fds), on_progress));
  if (answers.size() != 1) {
    return Error(ErrorCode::kInternal,
                 fmt::format("{} answers where one was expected", answers.size()));
  }
  return std::move(answers.front());
}

StatusOr<std::vector<Answer>> Channel::CallForAll(v1::Request request, std::vector<SharedFd> fds,
                                                  const OnProgress& on_progress) {
  RETURN_IF_ERROR(SendRequest(request, std::move(fds)));
  std::vector<Answer> answers;
  while (true) {
    ASSIGN_OR_RETURN(Answer answer, Receive());
    const v1::Response& response = answer.response;
    // Error 0 is about the session, not about one request.
    if (response.has_error() && (response.id() == request.id() || response.id() == 0)) {
      return FromProto(response.error());
    }
    if (response.has_leases_ended()) continue;  // an event, on whatever was attached before
    if (response.id() != request.id()) {
      return Error(ErrorCode::kInternal, fmt::format("an answer to request {} while {} was asked",
                                                     response.id(), request.id()));
    }
    if (response.has_progress()) {
      if (on_progress) on_progress(response.progress());
      continue;
    }
    const bool more = response.more();
    answers.push_back(std::move(answer));
    if (!more) return answers;
  }
}

// A daemon that was stopped is the one case that the user can mend at once.
Status Channel::Silence() const {
  const auto peer = os::PeerOf(socket_.get());
  const pid_t pid = peer.ok() ? peer->pid : 0;
  const bool stopped = pid != 0 && os::StateOf(pid) == 'T';
  return Error(
      ErrorCode::kTimeout,
      fmt::format("the daemon{} has not answered for {} s; {}",
                  pid != 0 ? fmt::format(" (process {})", pid) : "", kPatience.count(),
                  stopped ? fmt::format("it is stopped: `kill -CONT {}` lets it go on", pid)
                          : std::string("see its log, `warmset doctor` says more")));
}

Status Channel::Send(v1::Request request) { return SendRequest(request, {}); }

Status Channel::SendRequest(v1::Request& request, std::vector<SharedFd> fds) {
  request.set_id(next_id_++);
  ASSIGN_OR_RETURN(const std::string payload, Serialize(Encoding::kProtobuf, request));
  FrameWriter writer(2 * kMaxPayloadBytes);
  RETURN_IF_ERROR(writer.Push(Encoding::kProtobuf, payload, std::move(fds)));
  // A failure to send means that the daemon closed the connection; what it said
  // before is still there to be received.
  (void)writer.FlushTo(socket_.get());
  return OkStatus();
}

StatusOr<Answer> Channel::Receive() {
  while (true) {
    ASSIGN_OR_RETURN(std::optional<Frame> frame, reader_.Next());
    if (frame) {
      ASSIGN_OR_RETURN(v1::Response response, ParseResponse(frame->encoding, frame->payload));
      return Answer{std::move(response), std::move(frame->fds)};
    }
    ASSIGN_OR_RETURN(const bool readable,
                     os::WaitForSocket(socket_.get(), os::SocketEvent::kReadable, kPatience));
    if (!readable) return Silence();
    const StatusOr<os::Received> received = reader_.ReceiveFrom(socket_.get());
    if (!received.ok()) return received.status();
    if (received->closed) return DaemonGone();
  }
}

}  // namespace warmset::wire

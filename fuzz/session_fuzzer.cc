// A whole session of a client that may send anything, against the real server.
// Its handler answers every request, some twice, some never.
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <utility>

#include "fuzz/fuzzer.h"
#include "os/event_loop.h"
#include "os/unix_socket.h"
#include "wire/server.h"

namespace {

using namespace warmset;  // NOLINT: one file, one purpose

class Answering : public wire::RequestHandler {
 public:
  void SessionOpened(const wire::SessionInfo&) override { ++open; }
  void SessionEnded(wire::SessionId) override {
    Promise(--open >= 0, "a session that ends was opened");
  }
  void Handle(wire::SessionId session, const v1::Request& request,
              std::vector<os::UniqueFd>) override {
    Promise(open == 1, "a request comes from an open session");
    if (request.has_scan()) return;
    v1::Response response;
    response.set_id(request.id());
    response.mutable_progress()->set_done(request.id());
    server->Respond(session, response);
    response.mutable_states()->add_results()->mutable_state()->set_name(
        request.get_model_state().names_size() > 0 ? request.get_model_state().names(0) : "");
    response.set_more(false);
    server->Respond(session, response);
    server->Respond(session, response);
  }

  wire::Server* server = nullptr;
  int open = 0;
};

std::string JsonFrame(std::string_view payload) {
  std::string frame(wire::kFrameHeaderBytes, '\0');
  frame[0] = static_cast<char>(payload.size());  // short ones only
  frame[4] = static_cast<char>(wire::Encoding::kJson);
  return frame.append(payload);
}

}  // namespace

std::vector<std::string> Seeds() {
  const std::string hello = JsonFrame(R"({"id": 1, "hello": {"protocol_major": 1}})");
  return {hello + JsonFrame(R"({"id": 2, "get_model_state": {"names": ["a"]}})") +
              JsonFrame(R"({"id": 3, "scan": {}})"),
          hello + JsonFrame(R"({"id": 4, "release": {"leases": [1]}})") +
              JsonFrame(R"({"id": 5, "attach": {"file": true}})"),
          JsonFrame(R"({"id": 1, "hello": {"protocol_major": 2}})")};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::string path =
      "/tmp/warmset-session-fuzz-" + std::to_string(::getpid()) + ".sock";
  auto loop = os::EventLoop::Create();
  Promise(loop.ok(), "setup");
  Answering handler;
  auto server = wire::Server::Start({.socket_path = path}, loop->get(), &handler);
  Promise(server.ok(), "setup");
  handler.server = server->get();

  auto client = os::ConnectUnix(path);
  Promise(client.ok() && os::SetNonBlocking(client->get(), true).ok(), "setup");
  // More than the socket takes at once is left out.
  if (size > 0) (void)os::SendWithFds(client->get(), Bytes(data, size), {});
  ::shutdown(client->get(), SHUT_WR);
  // A session is counted for at least one round of the loop, then it ends.
  bool was_open = false;
  std::function<void()> stop_when_over = [&] {
    was_open |= server->get()->session_count() > 0;
    if (was_open && server->get()->session_count() == 0) return (*loop)->Stop();
    (*loop)->Post(stop_when_over);
  };
  (*loop)->Post(stop_when_over);
  (*loop)->Run();
  Promise(handler.open == 0, "a session that was opened ends");
  return 0;
}

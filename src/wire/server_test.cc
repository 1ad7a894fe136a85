#include "wire/server.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "os/fault.h"
#include "wire/channel.h"
#include "wire/message_codec.h"

namespace warmset::wire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Answers what the tests ask; a double for the daemon. Loop thread only.
class FakeDaemon : public RequestHandler {
 public:
  void SessionOpened(const SessionInfo& session) override { open.emplace(session.id, session); }
  void SessionEnded(SessionId session) override {
    EXPECT_EQ(open.erase(session), 1u);
    EXPECT_FALSE(in_respond);
    ++ended;
    if (on_ended) on_ended();
  }
  void Handle(SessionId session, const v1::Request& request,
              std::vector<os::UniqueFd> fds) override {
    EXPECT_TRUE(open.contains(session));
    v1::Response response;
    response.set_id(request.id());
    switch (request.call_case()) {
      case v1::Request::kGetModelState:
        for (const std::string& name : request.get_model_state().names()) {
          response.mutable_states()->add_results()->mutable_state()->set_name(name);
        }
        return Respond(session, response);
      case v1::Request::kListModels:  // larger than a frame
        response.mutable_models()->add_models()->set_name(std::string(kMaxPayloadBytes, 'x'));
        return Respond(session, response);
      case v1::Request::kGetPath:
        return server->RespondError(
            session, request.id(),
            WithCandidates(Error(ErrorCode::kModelNotFound, "no such model"), {"a", "b"}));
      case v1::Request::kCache:
        for (uint64_t done = 1; done <= 3; ++done) {
          response.mutable_progress()->set_done(done);
          Respond(session, response);
        }
        response.mutable_cache()->set_loaded_bytes(fds.size());
        response.set_more(false);
        return Respond(session, response);
      case v1::Request::kAttach:
        for (const bool more : {true, false}) {
          response.set_more(more);
          response.mutable_attached()->set_bytes(fds.size());
          auto fd = std::make_shared<os::UniqueFd>(::open("/dev/null", O_RDONLY | O_CLOEXEC));
          server->Respond(session, response, {SharedFd{fd->get(), fd}});
        }
        return;
      case v1::Request::kScan:  // never answered
        EXPECT_TRUE(server->InFlight(session, request.id()));
        return;
      case v1::Request::kGetConfig:  // floods a client with what it does not read
        response.set_more(true);
        response.mutable_config()->set_file(std::string(1 * kMiB, 'x'));
        for (int i = 0; i < 100; ++i) Respond(session, response);
        return;
      case v1::Request::kRelease:
        released.insert(released.end(), request.release().leases().begin(),
                        request.release().leases().end());
        return;
      default:
        return server->RespondError(session, request.id(),
                                    Error(ErrorCode::kInternal, "not part of this test"));
    }
  }

  Server* server = nullptr;
  std::map<SessionId, SessionInfo> open;
  std::vector<uint64_t> released;
  int ended = 0;
  std::function<void()> on_ended;

 private:
  void Respond(SessionId session, const v1::Response& response) {
    in_respond = true;
    server->Respond(session, response);
    in_respond = false;
  }
  bool in_respond = false;
};

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/warmset-server-test-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    folder_ = pattern;
    options_.socket_path = folder_ + "/socket";
  }

  void Start() {
    auto loop = os::EventLoop::Create();
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
    auto server = Server::Start(options_, loop_.get(), &daemon_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    daemon_.server = server_.get();
    thread_ = std::thread([this] { loop_->Run(); });
  }

  void TearDown() override {
    if (thread_.joinable()) {
      OnLoop([this] { server_.reset(); });
      loop_->Stop();
      thread_.join();
      EXPECT_TRUE(daemon_.open.empty());
    }
    ::unlink(options_.socket_path.c_str());
    ::rmdir(folder_.c_str());
  }

  // Runs on the loop's thread and waits for it.
  void OnLoop(const std::function<void()>& task) {
    std::promise<void> done;
    loop_->Post([&] {
      task();
      done.set_value();
    });
    done.get_future().wait();
  }

  // Waits until the given number of sessions has ended.
  void WaitForEnds(int count) {
    std::promise<void> reached;
    bool told = false;
    OnLoop([&] {
      daemon_.on_ended = [&] {
        if (daemon_.ended >= count && !std::exchange(told, true)) reached.set_value();
      };
      daemon_.on_ended();
    });
    reached.get_future().wait();
    OnLoop([&] { daemon_.on_ended = nullptr; });
  }

  Channel MustConnect() {
    auto channel = Channel::Connect(options_.socket_path, "test");
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *std::move(channel);
  }

  os::UniqueFd RawConnect() {
    auto socket = os::ConnectUnix(options_.socket_path);
    EXPECT_TRUE(socket.ok()) << socket.status();
    return *std::move(socket);
  }

  static void SendRaw(const os::UniqueFd& socket, std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = os::SendWithFds(socket.get(), std::as_bytes(std::span(bytes)), {});
      if (!sent.ok()) return;  // the server has closed: what is left would not be read
      bytes.remove_prefix(*sent);
    }
  }
  static void SendFrame(const os::UniqueFd& socket, Encoding encoding, std::string_view payload) {
    FrameWriter writer(2 * kMaxPayloadBytes);
    ASSERT_TRUE(writer.Push(encoding, payload, {}).ok());
    (void)writer.FlushTo(socket.get());
  }
  // Everything that the server says until it closes.
  static std::vector<v1::Response> ReadToEnd(const os::UniqueFd& socket) {
    FrameReader reader;
    std::vector<v1::Response> responses;
    while (true) {
      auto frame = reader.Next();
      EXPECT_TRUE(frame.ok()) << frame.status();
      if (frame->has_value()) {
        auto response = ParseResponse((*frame)->encoding, (*frame)->payload);
        EXPECT_TRUE(response.ok()) << response.status();
        responses.push_back(*std::move(response));
        continue;
      }
      const auto received = reader.ReceiveFrom(socket.get());
      if (!received.ok() || received->closed) return responses;
    }
  }
  static std::vector<std::string> ErrorCodes(const std::vector<v1::Response>& responses) {
    std::vector<std::string> codes;
    for (const v1::Response& response : responses) codes.push_back(response.error().code());
    return codes;
  }

  std::string folder_;
  ServerOptions options_;
  FakeDaemon daemon_;
  std::unique_ptr<os::EventLoop> loop_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

constexpr char kJsonHello[] = R"({"id": 1, "hello": {"protocol_major": 1, "client": "json"}})";

// Its answer is larger than what a socket holds.
std::string StateOfManyModels() {
  std::string names = R"("m")";
  for (int i = 0; i < 100'000; ++i) names += R"(,"m")";
  return R"({"id": 2, "get_model_state": {"names": [)" + names + "]}}";
}

TEST_F(ServerTest, AnswersRequestsWithProgressErrorsAndDescriptors) {
  Start();
  Channel channel = MustConnect();
  EXPECT_EQ(channel.daemon().protocol_major(), kProtocolMajor);
  EXPECT_EQ(channel.daemon().pid(), ::getpid());

  v1::Request state;
  state.mutable_get_model_state()->add_names("sdxl");
  const auto answer = channel.Call(state);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->response.states().results(0).state().name(), "sdxl");

  v1::Request cache;
  cache.mutable_cache();
  std::vector<uint64_t> progress;
  const auto cached =
      channel.Call(cache, {Share(os::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)))},
                   [&](const v1::Progress& p) { progress.push_back(p.done()); });
  ASSERT_TRUE(cached.ok()) << cached.status();
  EXPECT_EQ(cached->response.cache().loaded_bytes(), 1u);  // the descriptor came along
  ASSERT_FALSE(progress.empty());
  EXPECT_EQ(progress.back(), 3u);

  v1::Request attach;
  attach.mutable_attach();
  const auto attached = channel.CallForAll(attach);
  ASSERT_TRUE(attached.ok()) << attached.status();
  ASSERT_EQ(attached->size(), 2u);
  EXPECT_EQ((*attached)[1].fds.size(), 1u);

  v1::Request path;
  path.mutable_get_path();
  const Status error = channel.Call(path).status();
  EXPECT_EQ(CodeOf(error), ErrorCode::kModelNotFound);
  EXPECT_THAT(CandidatesOf(error), ElementsAre("a", "b"));
}

TEST_F(ServerTest, SocketIsForItsOwnerAlone) {
  Start();
  struct stat st{};
  ASSERT_EQ(::stat(options_.socket_path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  auto second = Server::Start(options_, loop_.get(), &daemon_);
  EXPECT_EQ(CodeOf(second.status()), ErrorCode::kAlreadyRunning);
}

TEST_F(ServerTest, JsonIsAnsweredInJson) {
  Start();
  const os::UniqueFd socket = RawConnect();
  SendFrame(socket, Encoding::kJson, kJsonHello);
  SendFrame(socket, Encoding::kJson, R"({"id": 2, "get_model_state": {"names": ["sdxl"]}})");
  SendFrame(socket, Encoding::kJson, "{");  // ends the session
  FrameReader reader;
  std::vector<std::string> payloads;
  while (true) {
    auto frame = reader.Next();
    ASSERT_TRUE(frame.ok()) << frame.status();
    if (frame->has_value()) {
      EXPECT_EQ((*frame)->encoding, Encoding::kJson);
      payloads.push_back((*frame)->payload);
      continue;
    }
    const auto received = reader.ReceiveFrom(socket.get());
    if (!received.ok() || received->closed) break;
  }
  ASSERT_EQ(payloads.size(), 3u);
  EXPECT_EQ(payloads[1], R"({"id":"2","states":{"results":[{"state":{"name":"sdxl"}}]}})");
  EXPECT_THAT(payloads[2], HasSubstr("invalid_request"));
}

TEST_F(ServerTest, AReleaseIsNotAnswered) {
  Start();
  Channel channel = MustConnect();
  v1::Request release;
  release.mutable_release()->add_leases(5);
  ASSERT_TRUE(channel.Send(release).ok());
  v1::Request state;
  state.mutable_get_model_state()->add_names("sdxl");
  ASSERT_TRUE(channel.Call(state).ok());  // its answer is the first to come
  OnLoop([&] { EXPECT_THAT(daemon_.released, ElementsAre(5u)); });
}

TEST_F(ServerTest, AnotherMajorVersionIsToldAndClosed) {
  Start();
  const os::UniqueFd socket = RawConnect();
  SendFrame(socket, Encoding::kJson, R"({"id": 1, "hello": {"protocol_major": 2}})");
  const auto responses = ReadToEnd(socket);
  EXPECT_THAT(ErrorCodes(responses), ElementsAre("version_mismatch"));
  EXPECT_EQ(responses[0].id(), 1u);
}

TEST_F(ServerTest, GarbageEndsItsOwnSessionOnly) {
  Start();
  Channel good = MustConnect();
  const std::string broken[] = {
      std::string(4096, '\xFF'),
      std::string("\1\0\0\0\0\1\0\0x", 9),                  // a missing descriptor
      std::string("\2\0\0\0\1\0\0\0{}", 10),                // id 0
      std::string("\1\0\0\0\0\0\0\0\xFF", 9),               // no message
      std::string("\4\0\0\0\0\0\0\0\x08\x01\x1A\x00", 12),  // GetStatus before Hello
      std::string("\3\0\0\0\1\0\0\0{\xFF}", 11),            // JSON that is not UTF-8
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
  };
  int expected_ends = 0;
  for (const std::string& bytes : broken) {
    const os::UniqueFd socket = RawConnect();
    SendRaw(socket, bytes);
    EXPECT_THAT(ErrorCodes(ReadToEnd(socket)), ElementsAre("invalid_request"));
  }
  {
    // After a good Hello, then every one of them again.
    for (const std::string& bytes : broken) {
      const os::UniqueFd socket = RawConnect();
      SendFrame(socket, Encoding::kJson, kJsonHello);
      SendRaw(socket, bytes == broken[4] ? broken[0] : bytes);
      EXPECT_THAT(ErrorCodes(ReadToEnd(socket)), ElementsAre("", "invalid_request"));
      ++expected_ends;
    }
  }
  WaitForEnds(expected_ends);
  v1::Request state;
  state.mutable_get_model_state()->add_names("sdxl");
  EXPECT_TRUE(good.Call(state).ok());
}

TEST_F(ServerTest, RequestsThatLieAboutTheirIdsEndTheSession) {
  Start();
  for (const char* second :
       {R"({"id": 1, "hello": {"protocol_major": 1}})", R"({"id": 2, "scan": {}})"}) {
    const os::UniqueFd socket = RawConnect();
    SendFrame(socket, Encoding::kJson, kJsonHello);
    SendFrame(socket, Encoding::kJson, R"({"id": 2, "scan": {}})");
    SendFrame(socket, Encoding::kJson, second);
    EXPECT_THAT(ErrorCodes(ReadToEnd(socket)), ElementsAre("", "invalid_request"));
  }
}

TEST_F(ServerTest, ARequestThatTheDaemonDoesNotKnowIsAnError) {
  Start();
  Channel channel = MustConnect();
  EXPECT_EQ(CodeOf(channel.Call(v1::Request()).status()), ErrorCode::kInvalidRequest);
  v1::Request state;
  state.mutable_get_model_state();
  EXPECT_TRUE(channel.Call(state).ok());
}

TEST_F(ServerTest, RequestsInFlightAreLimited) {
  options_.max_requests_in_flight = 3;
  Start();
  const os::UniqueFd socket = RawConnect();
  SendFrame(socket, Encoding::kJson, kJsonHello);
  for (const char* id : {"2", "3", "4", "5"}) {
    SendFrame(socket, Encoding::kJson, std::string(R"({"id": )") + id + R"(, "scan": {}})");
  }
  SendRaw(socket, std::string(8, '\xFF'));
  const auto responses = ReadToEnd(socket);
  EXPECT_THAT(ErrorCodes(responses), ElementsAre("", "invalid_request", "invalid_request"));
  EXPECT_EQ(responses[1].id(), 5u);
  EXPECT_THAT(responses[1].error().message(), HasSubstr("more than 3 requests"));
}

TEST_F(ServerTest, SessionsAreLimited) {
  options_.max_sessions = 1;
  Start();
  Channel first = MustConnect();
  EXPECT_EQ(CodeOf(Channel::Connect(options_.socket_path, "test").status()),
            ErrorCode::kDaemonUnavailable);
}

TEST_F(ServerTest, AnAnswerAboveTheFrameLimitBecomesAnError) {
  Start();
  Channel channel = MustConnect();
  v1::Request list;
  list.mutable_list_models();
  const Status error = channel.Call(list).status();
  EXPECT_EQ(CodeOf(error), ErrorCode::kInvalidRequest);
  EXPECT_THAT(std::string(Message(error)), HasSubstr("ask for less"));
}

TEST_F(ServerTest, AClientThatNeverReadsIsDisconnected) {
  options_.max_unread_bytes = 8 * kMiB;
  Start();
  Channel good = MustConnect();
  const os::UniqueFd socket = RawConnect();
  SendFrame(socket, Encoding::kJson, kJsonHello);
  SendFrame(socket, Encoding::kJson, R"({"id": 2, "get_config": {}})");
  WaitForEnds(1);
  v1::Request state;
  state.mutable_get_model_state();
  EXPECT_TRUE(good.Call(state).ok());
}

TEST_F(ServerTest, ARefusedClientThatReadsLateGetsItsAnswers) {
  options_.refusal_limit = std::chrono::minutes(5);
  Start();
  Channel good = MustConnect();
  v1::Request state;
  state.mutable_get_model_state();
  const os::UniqueFd socket = RawConnect();
  SendFrame(socket, Encoding::kJson, kJsonHello);
  SendFrame(socket, Encoding::kJson, StateOfManyModels());
  SendRaw(socket, std::string(8, '\xFF'));
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(good.Call(state).ok());  // while it is refused
  EXPECT_THAT(ErrorCodes(ReadToEnd(socket)), ElementsAre("", "", "invalid_request"));
}

TEST_F(ServerTest, ARefusedClientThatNeverReadsIsDisconnected) {
  Start();
  const os::UniqueFd socket = RawConnect();
  SendFrame(socket, Encoding::kJson, kJsonHello);
  SendFrame(socket, Encoding::kJson, StateOfManyModels());
  SendRaw(socket, std::string(8, '\xFF'));
  WaitForEnds(1);
}

TEST_F(ServerTest, AFloodOfRequestsIsAnsweredInFull) {
  Start();
  const os::UniqueFd socket = RawConnect();
  constexpr int kCount = 5000;
  std::thread sender([&] {
    SendFrame(socket, Encoding::kJson, kJsonHello);
    FrameWriter writer(64 * kMiB);
    for (int id = 2; id < 2 + kCount; ++id) {
      ASSERT_TRUE(writer
                      .Push(Encoding::kJson,
                            "{\"id\": " + std::to_string(id) + ", \"get_model_state\": {}}", {})
                      .ok());
    }
    (void)writer.FlushTo(socket.get());
    SendRaw(socket, std::string(8, '\xFF'));
  });
  const auto responses = ReadToEnd(socket);
  sender.join();
  ASSERT_EQ(responses.size(), 1u + kCount + 1u);
  EXPECT_EQ(responses[kCount].id(), uint64_t{kCount + 1});
  EXPECT_EQ(responses.back().error().code(), "invalid_request");
}

TEST_F(ServerTest, AClientThatLeavesEndsItsSessionAndDropsItsAnswers) {
  Start();
  {
    const os::UniqueFd socket = RawConnect();
    SendFrame(socket, Encoding::kJson, kJsonHello);
    SendFrame(socket, Encoding::kJson, R"({"id": 2, "scan": {}})");
  }
  WaitForEnds(1);
  OnLoop([&] {
    v1::Response late;
    late.set_id(2);
    late.mutable_scan();
    server_->Respond(SessionId(1), late);
    EXPECT_FALSE(server_->InFlight(SessionId(1), 2));
    EXPECT_EQ(server_->session_count(), 0u);
  });
}

TEST_F(ServerTest, AcceptingGoesOnAfterAFailure) {
  Start();
  os::ArmFault({.call = "accept4", .nth = 1, .error_number = EMFILE});
  Channel channel = MustConnect();
  EXPECT_EQ(os::DisarmFault(), 1);
}

TEST_F(ServerTest, DrainWaitsForWhatIsUnsent) {
  Start();
  const os::UniqueFd socket = RawConnect();
  SendFrame(socket, Encoding::kJson, kJsonHello);
  SendFrame(socket, Encoding::kJson, R"({"id": 2, "get_config": {}})");
  // The third answer is too much for the socket, so some are unsent by now.
  FrameReader reader;
  for (int answers = 0; answers < 3;) {
    auto frame = reader.Next();
    ASSERT_TRUE(frame.ok());
    if (frame->has_value()) {
      ++answers;
    } else {
      ASSERT_TRUE(reader.ReceiveFrom(socket.get()).ok());
    }
  }
  std::promise<void> drained;
  loop_->Post([&] { server_->Drain([&] { drained.set_value(); }); });
  std::future<void> done = drained.get_future();
  ASSERT_TRUE(os::SetNonBlocking(socket.get(), true).ok());
  while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    ASSERT_TRUE(reader.ReceiveFrom(socket.get()).ok());
    while (true) {
      auto frame = reader.Next();
      ASSERT_TRUE(frame.ok());
      if (!frame->has_value()) break;
    }
  }
  EXPECT_EQ(CodeOf(Channel::Connect(options_.socket_path, "late").status()),
            ErrorCode::kDaemonUnavailable);
}

// Needs two users, so only root can run it.
TEST_F(ServerTest, OtherUsersAreRefusedUnlessListed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  constexpr uid_t kAllowed = 12345;
  options_.allowed_uids = {kAllowed};
  Start();
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(options_.socket_path.c_str(), 0666), 0);  // let the check be the only bar
  const auto connect_as = [&](uid_t uid) {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::setuid(uid) != 0) ::_exit(100);
      const auto channel = Channel::Connect(options_.socket_path, "other");
      ::_exit(channel.ok() ? 0 : 1 + static_cast<int>(CodeOf(channel.status())));
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(connect_as(kAllowed), 0);
  EXPECT_EQ(connect_as(kAllowed + 1), 1 + static_cast<int>(ErrorCode::kPermissionDenied));
}

}  // namespace
}  // namespace warmset::wire

// The program against a daemon: what it asks, and what it makes of the answers.
#include <future>
#include <thread>

#include "cli_fixture.h"
#include "gmock/gmock.h"
#include "os/event_loop.h"
#include "wire/server.h"

namespace warmset::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

// A double for the daemon that answers with what it was asked, or fixed models.
class FakeDaemon : public wire::RequestHandler {
 public:
  void SessionOpened(const wire::SessionInfo&) override {}
  void SessionEnded(wire::SessionId) override {}

  void Handle(wire::SessionId session, const v1::Request& request,
              std::vector<os::UniqueFd>) override {
    v1::Response response;
    response.set_id(request.id());
    switch (request.call_case()) {
      case v1::Request::kListModels:
        for (const auto& [name, bytes, used] :
             {std::tuple("b", 30u, 1), {"a", 10u, 3}, {"c", 20u, 2}}) {
          v1::ModelState& model = *response.mutable_models()->add_models();
          model.set_name(name + request.list_models().filter());
          model.set_bytes(bytes);
          model.set_last_used_unix_ms(used);
          model.set_kind(bytes == 10 ? "lora" : "vae");
          model.set_architecture(bytes == 10 ? "home-made" : "");
          model.set_verdict(bytes == 30 ? "incomplete" : "");
        }
        break;
      case v1::Request::kGetModelDetail:
        if (request.get_model_detail().name() != "a") {
          return server->RespondError(
              session, request.id(),
              WithCandidates(Error(ErrorCode::kAmbiguousName, "'x' is the start of 2 names"),
                             {"xa", "x\nb"}));
        }
        response.mutable_detail()->mutable_state()->set_name("a");
        break;
      case v1::Request::kGetStatus:
        response.mutable_status()->add_devices()->set_id("host:0");
        response.mutable_status()->add_roots("/no/such/root");
        break;
      case v1::Request::kGetWorkerState:
        response.mutable_worker_state()->set_revision(7);
        break;
      case v1::Request::kCache:
        response.set_more(true);
        response.mutable_progress()->set_stage("read");
        response.mutable_progress()->set_item(request.cache().model());
        server->Respond(session, response);
        response.set_more(false);
        response.mutable_cache()->set_loaded_bytes(5);
        *response.mutable_cache()->mutable_evicted() = request.cache().components();
        break;
      case v1::Request::kScan:
        response.mutable_scan()->set_models(static_cast<uint64_t>(request.scan().paths_size()));
        response.mutable_scan()->add_findings()->set_path(request.scan().paths(0));
        response.mutable_scan()->set_findings_total(static_cast<uint64_t>(request.scan().depth()));
        break;
      case v1::Request::kGetPath:
        response.mutable_path()->set_path("/run/warmset/paths/a b");
        break;
      default:
        return server->RespondError(session, request.id(),
                                    Error(ErrorCode::kInvalidRequest, "not in this test"));
    }
    server->Respond(session, response);
  }

  std::unique_ptr<wire::Server> server;
};

class SessionTest : public CliTest {
 protected:
  SessionTest() {
    std::promise<void> listening;
    thread_ = std::thread([this, &listening] {
      auto loop = os::EventLoop::Create();
      ASSERT_TRUE(loop.ok());
      loop_ = loop->get();
      FakeDaemon daemon;
      wire::ServerOptions options;
      options.socket_path = folder_ + "/socket";
      auto server = wire::Server::Start(options, loop_, &daemon);
      EXPECT_TRUE(server.ok()) << server.status();
      daemon.server = *std::move(server);
      listening.set_value();
      loop_->Run();
      daemon.server.reset();
    });
    listening.get_future().wait();
  }
  ~SessionTest() override {
    loop_->Stop();
    thread_.join();
  }

  std::thread thread_;
  os::EventLoop* loop_ = nullptr;
};

TEST_F(SessionTest, ListSortsAndFilters) {
  EXPECT_EQ(Run("list -q").out, "a\nb\nc\n");
  EXPECT_EQ(Run("list -q --sort size").out, "b\nc\na\n");
  EXPECT_EQ(Run("list -q --sort used").out, "a\nc\nb\n");
  EXPECT_EQ(Run("list -q --filter xl").out, "axl\nbxl\ncxl\n");
  EXPECT_THAT(Run("list").out, StartsWith("NAME  ID  SIZE  KIND  ARCHITECTURE  VERDICT"));
}

TEST_F(SessionTest, ListTakesKindsArchitecturesAndVerdicts) {
  EXPECT_EQ(Run("list -q --kind LORA").out, "a\n");
  EXPECT_EQ(Run("list -q --architecture Home-Made").out, "a\n");
  EXPECT_EQ(Run("list -q --architecture sdxl").out, "");
  EXPECT_EQ(Run("list -q --verdict incomplete").out, "b\n");
  const Outcome unknown = Run("list --architecture sdxk");
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("no architecture 'sdxk' is known; the nearest "));
}

TEST_F(SessionTest, JsonIsTheReply) {
  const Outcome outcome = Run("list --json --sort size");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, IsEmpty());
  const auto document = ParseJson(outcome.out);
  const auto& first = document.fields().at("models").list_value().values(0).struct_value().fields();
  EXPECT_EQ(first.at("name").string_value(), "b");
  EXPECT_EQ(first.at("bytes").number_value(), 30);
  EXPECT_EQ(first.at("cached_bytes").number_value(), 0);
  EXPECT_EQ(first.at("cache_state").string_value(), "unspecified");
  EXPECT_TRUE(first.at("settings").has_null_value());
}

TEST_F(SessionTest, CandidatesFollowTheError) {
  const Outcome outcome = Run("show x");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "warmset: ambiguous_name: 'x' is the start of 2 names\n  xa\n  x\\nb\n");
  const auto document = ParseJson(Run("show x --json").out);
  const auto& error = document.fields().at("error").struct_value().fields();
  EXPECT_EQ(error.at("code").string_value(), "ambiguous_name");
  EXPECT_EQ(error.at("candidates").list_value().values(1).string_value(), "x\nb");
}

TEST_F(SessionTest, ShowAsksTheWorkers) {
  EXPECT_THAT(Run("show a").out, Not(HasSubstr("Worker")));
  EXPECT_THAT(Run("show a --worker").out, HasSubstr("Worker of host:0, after 7 changes"));
  const auto document = ParseJson(Run("show a --worker --json").out);
  const auto& model = document.fields().at("model").struct_value().fields();
  EXPECT_EQ(model.at("state").struct_value().fields().at("name").string_value(), "a");
  const auto& workers = document.fields().at("workers").struct_value().fields();
  EXPECT_EQ(workers.at("host:0").struct_value().fields().at("revision").number_value(), 7);
}

TEST_F(SessionTest, ComponentsAreRepeated) {
  const Outcome outcome = Run("cache -c unet m --component vae");
  EXPECT_THAT(outcome.out, HasSubstr("evicted unet\n  evicted vae\n"));
}

TEST_F(SessionTest, ProgressIsDrawnOnATerminalOnly) {
  EXPECT_THAT(Run("cache m").err, IsEmpty());
  const Outcome outcome =
      RunCommand(fmt::format("script -qec '{} cache m' /dev/null", WARMSET_CLI_PROGRAM));
  EXPECT_THAT(outcome.out, HasSubstr("\rread m"));
  EXPECT_THAT(outcome.out, HasSubstr("\r\x1b[K"));
}

TEST_F(SessionTest, ScanMakesPathsAbsolute) {
  const Outcome outcome = Run(fmt::format("scan --shallow {}/../{} --json", folder_,
                                          fs::path(folder_).filename().string()));
  const auto document = ParseJson(outcome.out);
  const auto& finding =
      document.fields().at("findings").list_value().values(0).struct_value().fields();
  EXPECT_EQ(finding.at("path").string_value(), fs::canonical(folder_).string());
  EXPECT_EQ(document.fields().at("findings_total").number_value(), 1);  // SHALLOW
  EXPECT_EQ(Run("scan /no/such/folder").exit_code, 1);
}

TEST_F(SessionTest, PathPrintsNothingElse) {
  EXPECT_EQ(Run("path a").out, "/run/warmset/paths/a b\n");
}

TEST_F(SessionTest, DoctorLooksAtTheDaemonsRoots) {
  const Outcome outcome = Run("doctor");
  EXPECT_THAT(outcome.out, HasSubstr("/no/such/root is not there"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("is not running")));
}

}  // namespace
}  // namespace warmset::cli

#include "warmset/client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "client/owned_fd.h"
#include "daemon_double.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmset::inline client_v1 {
namespace {

using client_test::DaemonDouble;
using client_test::GoodByte;
using client_test::GoodTensors;
using client_test::kGoodBytes;
using testing::ElementsAre;
using testing::IsEmpty;

// Misuse that must not compile.
template <typename T>
concept DataOfTemporary = requires(T t) { std::move(t).data(); };
template <typename T>
concept ComponentsOfTemporary = requires(T t) { std::move(t).components(); };
template <typename T>
concept ArrowOfTemporary = requires(T t) { std::move(t).operator->(); };
static_assert(!DataOfTemporary<Tensor>);
static_assert(!ComponentsOfTemporary<Model>);
static_assert(!ArrowOfTemporary<Result<Model>>);
static_assert(!std::is_copy_constructible_v<Model> && std::is_nothrow_move_constructible_v<Model>);
static_assert(!std::is_copy_constructible_v<Client>);
static_assert(!std::is_convertible_v<Result<Model>, bool>);

// Runs in a forked child; true when it returned true.
bool InChild(const std::function<bool()>& task) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(task() ? 0 : 1);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool HasRightBytes(const Tensor& tensor, uint64_t offset) {
  for (size_t i = 0; i < tensor.data().size(); ++i) {
    if (tensor.data()[i] != GoodByte(offset + i)) return false;
  }
  return true;
}

bool HasRightBytes(const Model& model) {
  for (const Component& component : model.components()) {
    for (size_t i = 0; i < component.tensor_count(); ++i) {
      if (!HasRightBytes(component.tensor(i), GoodTensors()[i].offset)) return false;
    }
  }
  return true;
}

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/warmset-client-test-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    folder_ = pattern;
    socket_path_ = folder_ + "/socket";
    daemon_.emplace(socket_path_);
  }
  void TearDown() override {
    daemon_.reset();
    ::rmdir(folder_.c_str());
  }

  Client MustConnect() {
    auto client = Client::Connect({.socket_path = socket_path_});
    EXPECT_TRUE(client) << client.error().message;
    return *std::move(client);
  }
  static Model MustAttach(Client& client, std::string_view name,
                          const AttachOptions& options = {}) {
    auto model = client.Attach(name, options);
    EXPECT_TRUE(model) << model.error().message;
    return *std::move(model);
  }
  // The leases that the daemon knows of when it has seen all the client sent.
  int Leases(Client& client) {
    EXPECT_TRUE(client.State("good"));
    return daemon_->seen().leases;
  }

  std::string folder_;
  std::string socket_path_;
  std::optional<DaemonDouble> daemon_;
};

TEST_F(ClientTest, TensorsAreTheFilesBytes) {
  Client client = MustConnect();
  for (const char* name : {"good", "chunked"}) {
    Model model = MustAttach(client, name);
    EXPECT_EQ(model.name(), name);
    ASSERT_EQ(model.components().size(), 1u);
    const Component& component = model.components()[0];
    EXPECT_EQ(component.name(), "model");
    EXPECT_EQ(component.type(), "whole");
    EXPECT_EQ(component.bytes(), kGoodBytes);
    EXPECT_EQ(component.metadata().at("format"), "pt");
    ASSERT_EQ(component.tensor_count(), GoodTensors().size());
    for (size_t i = 0; i < component.tensor_count(); ++i) {
      const TensorEntry expected = GoodTensors()[i];
      const Tensor tensor = component.tensor(i);
      EXPECT_EQ(tensor.name(), expected.name);
      EXPECT_EQ(tensor.dtype(), expected.dtype);
      EXPECT_THAT(tensor.shape(), testing::ElementsAreArray(expected.shape));
      EXPECT_EQ(tensor.data().size(), expected.bytes);
    }
    EXPECT_TRUE(HasRightBytes(model));
    const Tensor first = model.tensor("first").value();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first.data().data()) % (2 << 20), 0u);
  }
}

TEST_F(ClientTest, WritesAreSeenByThisAttachmentAlone) {
  Client client = MustConnect();
  Model model = MustAttach(client, "good");
  const Tensor tensor = model.tensor("across").value();
  ASSERT_EQ(tensor.writable_data().size(), 8192u);
  tensor.writable_data()[5000] = std::byte{0};
  EXPECT_EQ(tensor.data()[5000], std::byte{0});
  EXPECT_TRUE(HasRightBytes(MustAttach(client, "good")));

  Model read_only = MustAttach(client, "good", {.writable = false});
  EXPECT_TRUE(HasRightBytes(read_only));
  const Tensor unwritable = read_only.tensor("across").value();
  EXPECT_TRUE(unwritable.writable_data().empty());
}

TEST_F(ClientTest, NamesThatAreNotThereAreErrors) {
  Client client = MustConnect();
  const auto unknown = client.Attach("unknown");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, "model_not_found");
  EXPECT_THAT(unknown.error().candidates, ElementsAre("good", "chunked"));

  Model model = MustAttach(client, "two parts");
  EXPECT_EQ(model.components().size(), 2u);
  EXPECT_EQ(model.component("text").error().code, "component_not_found");
  EXPECT_THAT(model.component("text").error().candidates, ElementsAre("unet", "vae"));
  EXPECT_EQ(model.tensor("none").error().code, "tensor_not_found");
  EXPECT_EQ(model.tensor("first").error().code, "ambiguous_name");
  auto vae = model.component("vae");
  ASSERT_TRUE(vae);
  EXPECT_TRUE(vae->tensor("first"));
}

TEST_F(ClientTest, StatesModelsAndCache) {
  Client client = MustConnect();
  const auto state = client.State("good");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->cache_state, CacheState::kCached);
  const std::string names[] = {"a", "unknown", "c"};
  auto states = client.States(names);
  ASSERT_TRUE(states);
  ASSERT_EQ(states->size(), 3u);
  EXPECT_EQ((*states)[0]->name, "a");
  EXPECT_EQ((*states)[1].error().code, "model_not_found");
  EXPECT_THAT((*states)[1].error().candidates, ElementsAre("good"));
  EXPECT_EQ((*states)[2]->name, "c");
  EXPECT_TRUE(client.States({}).value().empty());
  EXPECT_EQ(client.Models("-x").value().front().name, "good-x");
  uint64_t done = 0;
  EXPECT_EQ(client.Cache("good", [&](const Progress& p) { done = p.done; }).value().name, "good");
  EXPECT_EQ(done, 1u);
  EXPECT_EQ(client.Preload("good").value().name, "good");
}

TEST_F(ClientTest, AFileIsOpenedHereAndPassed) {
  Client client = MustConnect();
  const std::string path = folder_ + "/\xFF.safetensors";  // a name need not be UTF-8
  {
    const client_internal::OwnedFd file(::open(path.c_str(), O_CREAT | O_WRONLY, 0600));
    ASSERT_EQ(::write(file.get(), "x", 1), 1);
  }
  const auto model = client.AttachFile(path);
  EXPECT_TRUE(model) << model.error().message;
  EXPECT_TRUE(daemon_->seen().file_was_readable);
  ::unlink(path.c_str());
  EXPECT_EQ(client.AttachFile(path).error().code, "file_not_found");
  EXPECT_EQ(client.AttachFile(folder_).error().code, "invalid_request");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(client.AttachFile(path).error().code, "invalid_request");
  ::unlink(path.c_str());
}

TEST_F(ClientTest, WarningsReachTheProgram) {
  std::vector<std::string> warnings;
  auto client =
      Client::Connect({.socket_path = socket_path_, .warning = [&](std::string_view message) {
                         warnings.emplace_back(message);
                       }});
  ASSERT_TRUE(client) << client.error().message;
  MustAttach(*client, "good");
  EXPECT_TRUE(client->Cache("good"));
  EXPECT_THAT(warnings, IsEmpty());

  const auto both = ElementsAre("the files were not looked at", "the claim is unchecked");
  const Model model = MustAttach(*client, "unchecked");
  EXPECT_THAT(std::exchange(warnings, {}), both);
  EXPECT_EQ(model.components().size(), 2u);
  EXPECT_TRUE(client->Cache("unchecked"));
  EXPECT_THAT(std::exchange(warnings, {}), both);

  Client deaf = MustConnect();
  EXPECT_TRUE(HasRightBytes(MustAttach(deaf, "unchecked")));
}

TEST_F(ClientTest, ADaemonThatLiesGetsNothingMapped) {
  Client client = MustConnect();
  const std::pair<const char*, const char*> lies[] = {
      {"unsealed memory", "internal"},
      {"not memory", "internal"},
      {"short memory", "internal"},
      {"ragged parts", "internal"},
      {"endless memory", "internal"},
      {"wrong descriptor", "internal"},
      {"no descriptors", "internal"},
      {"too many bytes", "internal"},
      {"damaged index", "corrupted_model"},
      {"index of more", "corrupted_model"},
      {"fails after one part", "corrupted_model"},
  };
  for (const auto& [name, code] : lies) {
    const auto model = client.Attach(name);
    ASSERT_FALSE(model) << name;
    EXPECT_EQ(model.error().code, code) << name << ": " << model.error().message;
    EXPECT_EQ(Leases(client), 0) << name;  // what was granted is given back
  }
  EXPECT_TRUE(HasRightBytes(MustAttach(client, "good")));
}

TEST_F(ClientTest, ALeaseEndsWithTheLastHandle) {
  Client client = MustConnect();
  std::optional<Model> model = MustAttach(client, "two parts");
  EXPECT_EQ(Leases(client), 2);
  std::optional<Tensor> tensor = model->component("vae").value().tensor("first").value();
  Model moved = *std::move(model);
  model.reset();
  EXPECT_EQ(Leases(client), 2);
  {
    Model gone = std::move(moved);
  }
  EXPECT_EQ(Leases(client), 1);
  // From another thread too.
  std::thread([&] { tensor.reset(); }).join();
  EXPECT_EQ(Leases(client), 0);
}

// The event comes within a call, and between calls.
TEST_F(ClientTest, AWithdrawnModelSaysSoAtItsNextUse) {
  Client client = MustConnect();
  const Model first = MustAttach(client, "good");
  const Tensor tensor = first.components()[0].tensor(0);
  const std::string name(tensor.name());
  EXPECT_TRUE(first.tensor(name));
  EXPECT_TRUE(client.Cache("withdrawn"));
  EXPECT_EQ(first.tensor(name).error().code, "corrupted_model");
  EXPECT_EQ(first.components()[0].tensor(name).error().code, "corrupted_model");
  EXPECT_TRUE(HasRightBytes(first));  // what is mapped stays as it is

  const Model second = MustAttach(client, "good");
  EXPECT_TRUE(second.tensor(name));
  EXPECT_TRUE(client.Preload("withdrawn"));
  while (second.tensor(name)) std::this_thread::yield();
  EXPECT_EQ(second.tensor(name).error().code, "corrupted_model");
  EXPECT_EQ(Leases(client), 0);
  EXPECT_EQ(daemon_->seen().sessions_opened, 1);
}

TEST_F(ClientTest, TensorsOutliveTheClient) {
  std::optional<Tensor> tensor;
  {
    Client client = MustConnect();
    tensor = MustAttach(client, "good").tensor("across").value();
  }
  EXPECT_EQ(daemon_->seen().leases, 1);
  EXPECT_EQ(daemon_->seen().sessions_ended, 0);
  EXPECT_TRUE(HasRightBytes(*tensor, GoodTensors()[1].offset));
  tensor.reset();
  daemon_->WaitForEndedSessions(1);
  EXPECT_EQ(daemon_->seen().leases, 0);
}

TEST_F(ClientTest, CloseEndsTheLeasesAndLeavesTheMemory) {
  Client client = MustConnect();
  Model model = MustAttach(client, "good");
  client.Close();
  daemon_->WaitForEndedSessions(1);
  EXPECT_EQ(daemon_->seen().leases, 0);
  EXPECT_TRUE(HasRightBytes(model));
  EXPECT_TRUE(client.State("good"));  // connects anew
  EXPECT_EQ(daemon_->seen().sessions_opened, 2);
}

TEST_F(ClientTest, MemoryOutlivesTheDaemonAndTheNextOneIsTold) {
  Client client = MustConnect();
  Model model = MustAttach(client, "chunked");
  const Tensor untouched = model.tensor("last").value();
  daemon_->Kill();
  EXPECT_TRUE(HasRightBytes(model));
  EXPECT_EQ(client.State("good").error().code, "daemon_unavailable");
  EXPECT_EQ(client.Attach("good").error().code, "daemon_unavailable");

  daemon_->Restart();
  EXPECT_TRUE(client.State("good"));
  EXPECT_EQ(daemon_->seen().held_bytes, kGoodBytes);
  EXPECT_TRUE(HasRightBytes(model));
  {
    Model gone = std::move(model);
  }
  EXPECT_TRUE(HasRightBytes(untouched, kGoodBytes - 4));
  EXPECT_EQ(Leases(client), 0);  // an old lease's number means nothing to the new daemon
}

TEST_F(ClientTest, AChildsEndLeavesItsParentsLease) {
  Client client = MustConnect();
  Model model = MustAttach(client, "good");
  EXPECT_TRUE(InChild([&] {
    const bool right = HasRightBytes(model);
    {
      Model gone = std::move(model);
    }
    client.Close();
    {
      Client closed = std::move(client);
    }
    return right;
  }));
  EXPECT_EQ(Leases(client), 1);
  EXPECT_EQ(daemon_->seen().sessions_opened, 1);
  EXPECT_EQ(daemon_->seen().sessions_ended, 0);
  EXPECT_TRUE(HasRightBytes(model));
}

TEST_F(ClientTest, AChildTakesItsOwnSessionAndLease) {
  Client client = MustConnect();
  Model model = MustAttach(client, "two parts");
  EXPECT_TRUE(InChild([&] {
    if (!client.State("good")) return false;
    // Two of the parent's, two of the child's, and one more.
    if (daemon_->seen().sessions_opened != 2 || daemon_->seen().leases != 4) return false;
    Model another = MustAttach(client, "good");
    if (daemon_->seen().leases != 5 || !HasRightBytes(another)) return false;
    {
      Model gone = std::move(model);
    }
    return Leases(client) == 3;
  }));
  daemon_->WaitForEndedSessions(1);
  EXPECT_EQ(Leases(client), 2);
  EXPECT_TRUE(HasRightBytes(model));
}

TEST_F(ClientTest, AParentsEndIsSeenWhileItsChildLives) {
  int done[2];
  ASSERT_EQ(::pipe2(done, O_CLOEXEC), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    Client client = MustConnect();
    Model model = MustAttach(client, "good");
    if (::fork() == 0) {
      char byte = 0;
      ::close(done[1]);
      ::_exit(::read(done[0], &byte, 1) == 0 && HasRightBytes(model) ? 0 : 1);
    }
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  daemon_->WaitForEndedSessions(1);  // though the grandchild still waits
  EXPECT_EQ(daemon_->seen().leases, 0);
  ::close(done[1]);
  ::close(done[0]);
}

TEST_F(ClientTest, LeasesEndWhileAnotherThreadWaitsForTheDaemon) {
  Client client = MustConnect();
  constexpr int kRounds = 200;
  for (int round = 0; round < kRounds; ++round) {
    std::optional<Model> model = MustAttach(client, "two parts");
    std::thread releasing([&] { model.reset(); });
    EXPECT_TRUE(client.State("good"));
    releasing.join();
  }
  EXPECT_EQ(Leases(client), 0);
}

TEST(ClientWithoutDaemon, SaysSo) {
  EXPECT_EQ(Client::Connect({.socket_path = "/nonexistent/socket"}).error().code,
            "daemon_unavailable");
  EXPECT_EQ(Client::Connect({.socket_path = std::string(200, 'x')}).error().code, "invalid_config");
}

// A socket whose other end a test plays itself.
class PlayedDaemon {
 public:
  PlayedDaemon() {
    EXPECT_NE(::mkdtemp(folder_), nullptr);
    path_ = std::string(folder_) + "/socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
  }
  ~PlayedDaemon() {
    ::unlink(path_.c_str());
    ::rmdir(folder_);
  }

  const std::string& path() const { return path_; }
  client_internal::OwnedFd Accept() {
    return client_internal::OwnedFd(::accept(listener_.get(), nullptr, nullptr));
  }
  // Reads a request, whatever it is, and sends the bytes.
  static void Answer(const client_internal::OwnedFd& session, std::string_view bytes) {
    char request[256];
    (void)!::recv(session.get(), request, sizeof request, 0);
    (void)!::send(session.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

 private:
  char folder_[32] = "/tmp/warmset-client-test-XXXXXX";
  std::string path_;
  const client_internal::OwnedFd listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

// A peer that answers Hello with the given bytes and leaves.
TEST(ClientWithGarbage, IsNotConfused) {
  PlayedDaemon daemon;
  const std::pair<std::string, const char*> answers[] = {
      {"", "daemon_unavailable"},
      {std::string("\4\0\0\0\0\0\0\0ab", 10), "daemon_unavailable"},  // ends early
      {std::string(4096, '\xFF'), "internal"},                        // no frame
      {std::string("\2\0\0\0\1\0\0\0{}", 10), "internal"},            // JSON
      {std::string("\2\0\0\0\0\0\1\0ab", 10), "internal"},            // flags
      {std::string("\2\0\0\0\0\1\0\0\x08\x01", 10), "internal"},      // no descriptor came
      {std::string("\1\0\0\0\0\0\0\0\xFF", 9), "internal"},           // no message
      {std::string("\2\0\0\0\0\0\0\0\x08\x63", 10), "internal"},      // of another request
      {std::string("\6\0\0\0\0\0\0\0\x1A\x04\x0A\x02no", 14), "no"},  // error 0
  };
  for (const auto& [bytes, code] : answers) {
    std::thread peer([&, &answer = bytes] { PlayedDaemon::Answer(daemon.Accept(), answer); });
    const auto client = Client::Connect({.socket_path = daemon.path()});
    peer.join();
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, code);
  }
}

TEST(ClientWithFarewell, AFarewellThatCameWithAnAnswerEndsTheSession) {
  PlayedDaemon daemon;
  const std::string welcome("\2\0\0\0\0\0\0\0\x08\x01", 10);
  const std::string farewell(
      "\7\0\0\0\0\0\0\0\x1A\x05\x0A\x03"
      "bye",
      15);
  std::thread peer([&] {
    const client_internal::OwnedFd first = daemon.Accept();
    PlayedDaemon::Answer(first, welcome + farewell);
    const client_internal::OwnedFd second = daemon.Accept();
    PlayedDaemon::Answer(second, welcome);
    PlayedDaemon::Answer(second, {"\x8\0\0\0\0\0\0\0\x08\x02\x1A\x04\x0A\x02no", 16});
  });
  auto client = Client::Connect({.socket_path = daemon.path()});
  ASSERT_TRUE(client) << client.error().message;
  EXPECT_EQ(client->State("any").error().code, "no");
  peer.join();
}

TEST_F(ClientTest, AStoppedDaemonHoldsNobodyUp) {
  using std::chrono_literals::operator""ms;
  const ConnectOptions hurried{.socket_path = socket_path_, .timeout = 1'000ms, .silence = 1'000ms};
  auto client = Client::Connect(hurried);
  ASSERT_TRUE(client) << client.error().message;
  const Model attached = MustAttach(*client, "good");
  daemon_->Stop();
  EXPECT_EQ(client->State("good").error().code, "timeout");
  EXPECT_EQ(client->Attach("good").error().code, "timeout");  // in vain it connects anew
  EXPECT_EQ(client->Cache("good").error().code, "timeout");
  EXPECT_EQ(Client::Connect(hurried).error().code, "timeout");
  EXPECT_TRUE(HasRightBytes(*attached.tensor("first"), 0));
  daemon_->Continue();
  Client patient = MustConnect();
  EXPECT_TRUE(patient.State("good"));
}

}  // namespace
}  // namespace warmset::inline client_v1

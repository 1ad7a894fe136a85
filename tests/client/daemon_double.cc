#include "daemon_double.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"
#include "os/memory_file.h"
#include "wire/server.h"

namespace warmset::client_test {
namespace {

using wire::Share;
using wire::SharedFd;

// The double's setup can't fail in a way that a test could go on from.
template <typename T>
T Must(StatusOr<T> value) {
  if (!value.ok()) std::abort();
  return *std::move(value);
}

SharedFd MakeMemory(uint64_t begin, uint64_t bytes, bool sealed = true) {
  os::MemoryFile file = Must(os::MemoryFile::Create("warmset-test", bytes));
  for (uint64_t i = 0; i < bytes; ++i) file.writable().data()[i] = GoodByte(begin + i);
  if (sealed && !file.Seal().ok()) std::abort();
  const auto owner = std::make_shared<os::MemoryFile>(std::move(file));
  return {owner->fd(), owner};
}

SharedFd MakeIndex(std::string_view blob) {
  os::MemoryFile file =
      Must(os::MakeSealedFile("warmset-test-index", std::as_bytes(std::span(blob))));
  const auto owner = std::make_shared<os::MemoryFile>(std::move(file));
  return {owner->fd(), owner};
}

// As the daemon does: on a request's last response.
void AddWarnings(v1::Response& response) {
  response.add_warnings("the files were not looked at");
  response.add_warnings("the claim is unchecked");
}

class Handler : public wire::RequestHandler {
 public:
  Handler(Seen* seen, int ended_fd) : seen_(seen), ended_fd_(ended_fd) {
    const std::string index = EncodeTensorIndex(GoodTensors(), {{"format", "pt"}}, kGoodBytes);
    index_ = MakeIndex(index);
    bad_index_ = MakeIndex(index.substr(0, index.size() / 2));
    large_index_ = MakeIndex(EncodeTensorIndex(GoodTensors(), {}, kGoodBytes + 1));
    whole_ = MakeMemory(0, kGoodBytes);
    head_ = MakeMemory(0, kHeadBytes);
    tail_ = MakeMemory(kHeadBytes, kGoodBytes - kHeadBytes);
    unsealed_ = MakeMemory(0, kGoodBytes, /*sealed=*/false);
  }

  void SessionOpened(const wire::SessionInfo& session) override {
    seen_->held_bytes = session.hello.held_bytes();
    ++seen_->sessions_opened;
  }
  void SessionEnded(wire::SessionId session) override {
    seen_->leases -= static_cast<int>(leases_[session].size());
    leases_.erase(session);
    ++seen_->sessions_ended;
    if (::write(ended_fd_, "x", 1) != 1) std::abort();
  }
  void Handle(wire::SessionId session, const v1::Request& request,
              std::vector<os::UniqueFd> fds) override;

  wire::Server* server = nullptr;

 private:
  static constexpr uint64_t kHeadBytes = uint64_t{2} << 20;

  void Attach(wire::SessionId session, const v1::Request& request,
              const std::vector<os::UniqueFd>& fds);
  // Ends the session's leases by itself, as when a file is not what its name claims.
  void EndLeases(wire::SessionId session);
  // Sends one component and counts its lease.
  void Give(wire::SessionId session, v1::Response response, std::vector<SharedFd> fds);

  Seen* const seen_;
  const int ended_fd_;
  SharedFd index_, bad_index_, large_index_, whole_, head_, tail_, unsealed_;
  std::map<wire::SessionId, std::set<uint64_t>> leases_;
  uint64_t next_lease_ = 1;
};

void Handler::Handle(wire::SessionId session, const v1::Request& request,
                     std::vector<os::UniqueFd> fds) {
  v1::Response response;
  response.set_id(request.id());
  switch (request.call_case()) {
    case v1::Request::kAttach:
      return Attach(session, request, fds);
    case v1::Request::kRelease:
      for (const uint64_t lease : request.release().leases()) {
        seen_->leases -= static_cast<int>(leases_[session].erase(lease));
      }
      return;
    case v1::Request::kGetModelState:
      for (const std::string& name : request.get_model_state().names()) {
        auto& result = *response.mutable_states()->add_results();
        if (name == "unknown") {
          result.mutable_error()->set_code("model_not_found");
          result.mutable_error()->add_candidates("good");
        } else {
          result.mutable_state()->set_name(name);
          result.mutable_state()->set_cache_state(v1::CACHED);
        }
      }
      return server->Respond(session, std::move(response));
    case v1::Request::kListModels:
      response.mutable_models()->add_models()->set_name("good" + request.list_models().filter());
      return server->Respond(session, std::move(response));
    case v1::Request::kCache:
      response.mutable_progress()->set_done(1);
      server->Respond(session, response);
      if (request.cache().model() == "withdrawn") EndLeases(session);
      response.mutable_cache()->mutable_state()->set_name(request.cache().model());
      if (request.cache().model() == "unchecked") AddWarnings(response);
      response.set_more(false);
      return server->Respond(session, std::move(response));
    case v1::Request::kPreloadModel:
      response.mutable_preload()->mutable_state()->set_name(request.preload_model().model());
      server->Respond(session, std::move(response));
      if (request.preload_model().model() == "withdrawn") EndLeases(session);
      return;
    default:
      std::abort();
  }
}

void Handler::EndLeases(wire::SessionId session) {
  v1::Response event;
  v1::LeasesEnded* ended = event.mutable_leases_ended();
  for (const uint64_t lease : leases_[session]) ended->add_leases(lease);
  ended->mutable_why()->set_code("corrupted_model");
  ended->mutable_why()->set_message("it is not what its name claims");
  seen_->leases -= static_cast<int>(leases_[session].size());
  leases_[session].clear();
  server->Notify(session, std::move(event));
}

void Handler::Give(wire::SessionId session, v1::Response response, std::vector<SharedFd> fds) {
  response.mutable_attached()->set_lease(next_lease_);
  leases_[session].insert(next_lease_++);
  ++seen_->leases;
  server->Respond(session, std::move(response), std::move(fds));
}

void Handler::Attach(wire::SessionId session, const v1::Request& request,
                     const std::vector<os::UniqueFd>& fds) {
  const std::string model = request.attach().file() ? "good" : request.attach().model();
  if (request.attach().file()) {
    char byte = 0;
    seen_->file_was_readable = fds.size() == 1 && ::pread(fds[0].get(), &byte, 1, 0) == 1;
  }
  v1::Response response;
  response.set_id(request.id());
  v1::AttachedComponent& attached = *response.mutable_attached();
  attached.set_model(model);
  attached.set_component("model");
  attached.set_type("whole");
  attached.set_bytes(kGoodBytes);
  const auto add_chunk = [&](uint32_t fd, uint64_t bytes) {
    attached.add_chunks()->set_fd(fd);
    attached.mutable_chunks(attached.chunks_size() - 1)->set_bytes(bytes);
  };

  if (model == "chunked") {
    add_chunk(1, kHeadBytes);
    add_chunk(2, kGoodBytes - kHeadBytes);
    return Give(session, response, {index_, head_, tail_});
  }
  add_chunk(1, kGoodBytes);
  if (model == "two parts") {
    for (const char* component : {"unet", "vae"}) {
      attached.set_component(component);
      response.set_more(std::string_view(component) == "unet");
      Give(session, response, {index_, whole_});
    }
  } else if (model == "unchecked") {
    response.set_more(true);
    Give(session, response, {index_, whole_});
    attached.set_component("second");
    response.set_more(false);
    AddWarnings(response);
    Give(session, response, {index_, whole_});
  } else if (model == "fails after one part") {
    response.set_more(true);
    Give(session, response, {index_, whole_});
    server->RespondError(session, request.id(), Error(ErrorCode::kCorruptedModel, "damaged"));
  } else if (model == "unsealed memory") {
    Give(session, response, {index_, unsealed_});
  } else if (model == "not memory") {
    Give(session, response, {index_, Share(os::UniqueFd(::open("/dev/zero", O_RDONLY)))});
  } else if (model == "short memory") {
    Give(session, response, {index_, head_});
  } else if (model == "ragged parts") {
    attached.mutable_chunks(0)->set_bytes(4097);
    add_chunk(1, kGoodBytes);
    Give(session, response, {index_, whole_});
  } else if (model == "endless memory") {
    attached.mutable_chunks(0)->set_bytes(~uint64_t{0});
    Give(session, response, {index_, whole_});
  } else if (model == "wrong descriptor") {
    attached.mutable_chunks(0)->set_fd(9);
    Give(session, response, {index_, whole_});
  } else if (model == "no descriptors") {
    Give(session, response, {});
  } else if (model == "damaged index") {
    Give(session, response, {bad_index_, whole_});
  } else if (model == "index of more") {
    Give(session, response, {large_index_, whole_});
  } else if (model == "too many bytes") {
    attached.set_bytes(kGoodBytes + 1);
    Give(session, response, {large_index_, whole_});
  } else if (model == "good") {
    Give(session, response, {index_, whole_});
  } else {
    server->RespondError(
        session, request.id(),
        WithCandidates(Error(ErrorCode::kModelNotFound, "no such model"), {"good", "chunked"}));
  }
}

}  // namespace

std::vector<TensorEntry> GoodTensors() {
  return {{"first", DType::kF32, {3, 1}, 0, 12},
          {"across", DType::kU8, {8192}, (uint64_t{2} << 20) - 4096, 8192},
          {"last", DType::kBF16, {2}, kGoodBytes - 4, 4},
          {"empty", DType::kF32, {0}, kGoodBytes, 0}};
}

DaemonDouble::DaemonDouble(std::string socket_path)
    : socket_path_(std::move(socket_path)),
      seen_(new(::mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0)) Seen) {
  if (::pipe2(ended_, O_CLOEXEC) != 0) std::abort();
  Restart();
}

DaemonDouble::~DaemonDouble() {
  Kill();
  ::unlink(socket_path_.c_str());
  for (const int fd : ended_) ::close(fd);
  ::munmap(seen_, sizeof(Seen));
}

void DaemonDouble::Kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void DaemonDouble::Stop() {
  ::kill(pid_, SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);
}

void DaemonDouble::Continue() { ::kill(pid_, SIGCONT); }

void DaemonDouble::Restart() {
  Kill();
  seen_->leases = 0;
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) std::abort();
  pid_ = ::fork();
  if (pid_ == 0) Run(ready[1]);
  ::close(ready[1]);
  char byte = 0;
  EXPECT_EQ(::read(ready[0], &byte, 1), 1) << "the double could not start";
  ::close(ready[0]);
}

void DaemonDouble::Run(int ready_fd) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto loop = Must(os::EventLoop::Create());
  Handler handler(seen_, ended_[1]);
  auto server = Must(wire::Server::Start({.socket_path = socket_path_}, loop.get(), &handler));
  handler.server = server.get();
  if (::write(ready_fd, "x", 1) != 1) std::abort();
  loop->Run();
  std::abort();  // it is killed, never stopped
}

void DaemonDouble::WaitForEndedSessions(int count) {
  char byte = 0;
  for (int i = 0; i < count; ++i) EXPECT_EQ(::read(ended_[0], &byte, 1), 1);
}

}  // namespace warmset::client_test

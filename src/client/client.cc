#include "warmset/client.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "client/attached_memory.h"
#include "client/connection.h"
#include "client/errors.h"
#include "client/messages.h"
#include "client/owned_fd.h"

namespace warmset::inline client_v1 {

namespace internal = client_internal;
using internal::AttachedMemory;
using internal::AttachRequest;
using internal::BadReply;
using internal::Connection;
using internal::Lease;
using internal::OwnedFd;

class Client::Impl {
 public:
  using Answers = std::vector<Connection::Answer>;

  explicit Impl(ConnectOptions options) : options_(std::move(options)) {}

  // Opens a session where there is none that can be used: the first time, after
  // the daemon went, after Close(), and in a forked child.
  std::optional<ClientError> EnsureSession();

  // For requests with one answer, which comes at once.
  Result<Connection::Answer> CallForOne(std::string_view request) {
    return CallForOne(request, nullptr, options_.timeout);
  }
  // For one that reads from disk.
  Result<Connection::Answer> CallForOne(std::string_view request,
                                        const ProgressFunction& progress) {
    return CallForOne(request, progress, options_.silence);
  }

  Result<std::vector<std::shared_ptr<AttachedMemory>>> Attach(const AttachRequest& request,
                                                              std::span<const int> fds,
                                                              const AttachOptions& options,
                                                              std::string* model);
  void Close();

 private:
  std::optional<ClientError> Call(std::string_view request, std::span<const int> fds,
                                  const ProgressFunction& progress,
                                  std::chrono::milliseconds patience, Answers* answers);
  Result<Connection::Answer> CallForOne(std::string_view request, const ProgressFunction& progress,
                                        std::chrono::milliseconds patience);
  void RenewLeases();
  uint64_t HeldBytes() const;
  // An answer's lease, from now on owned.
  Lease TakeLease(const Connection::Answer& answer) const;

  const ConnectOptions options_;
  std::shared_ptr<Connection> connection_;
  std::vector<std::weak_ptr<AttachedMemory>> attached_;
};

std::optional<ClientError> Client::Impl::EnsureSession() {
  if (connection_ && connection_->usable()) return std::nullopt;
  const bool forked = connection_ && connection_->inherited();
  const std::string path =
      options_.socket_path.empty() ? internal::DefaultSocketPath() : options_.socket_path;
  // What a parent holds, it accounts for itself.
  auto opened =
      Connection::Open(path, options_.client_name, forked ? 0 : HeldBytes(), options_.timeout);
  if (!opened) return std::move(opened).error();
  connection_ = *std::move(opened);
  if (forked) RenewLeases();
  return std::nullopt;
}

void Client::Impl::RenewLeases() {
  for (const std::weak_ptr<AttachedMemory>& weak : attached_) {
    const std::shared_ptr<AttachedMemory> memory = weak.lock();
    if (!memory) continue;
    // Without a lease the memory is as valid; it is only not accounted for.
    Answers answers;
    (void)connection_->Call(EncodeAttach(memory->again()), {}, nullptr, options_.silence, &answers);
    for (const Connection::Answer& answer : answers) {
      Lease lease = TakeLease(answer);
      if (!answer.reply.attached) continue;
      memory->RenewLease(*answer.reply.attached, answer.fds, std::move(lease));
    }
  }
}

uint64_t Client::Impl::HeldBytes() const {
  uint64_t total = 0;
  for (const std::weak_ptr<AttachedMemory>& weak : attached_) {
    if (const std::shared_ptr<AttachedMemory> memory = weak.lock()) total += memory->bytes();
  }
  return total;
}

Lease Client::Impl::TakeLease(const Connection::Answer& answer) const {
  if (!answer.reply.attached) return {};
  return Lease(connection_, answer.reply.attached->lease);
}

std::optional<ClientError> Client::Impl::Call(std::string_view request, std::span<const int> fds,
                                              const ProgressFunction& progress,
                                              std::chrono::milliseconds patience,
                                              Answers* answers) {
  if (auto error = EnsureSession()) return error;
  if (auto error = connection_->Call(request, fds, progress, patience, answers)) return error;
  if (!options_.warning) return std::nullopt;
  for (const Connection::Answer& answer : *answers) {
    for (const std::string& warning : answer.reply.warnings) options_.warning(warning);
  }
  return std::nullopt;
}

Result<Connection::Answer> Client::Impl::CallForOne(std::string_view request,
                                                    const ProgressFunction& progress,
                                                    std::chrono::milliseconds patience) {
  Answers answers;
  if (auto error = Call(request, {}, progress, patience, &answers)) return *std::move(error);
  if (answers.size() != 1) return BadReply("several where one was expected");
  return std::move(answers.front());
}

Result<std::vector<std::shared_ptr<AttachedMemory>>> Client::Impl::Attach(
    const AttachRequest& request, std::span<const int> fds, const AttachOptions& options,
    std::string* model) {
  Answers answers;
  std::optional<ClientError> error =
      Call(EncodeAttach(request), fds, options.progress, options_.silence, &answers);
  // Leases first, so that they end whatever happens.
  std::vector<Lease> leases;
  for (const Connection::Answer& answer : answers) leases.push_back(TakeLease(answer));
  if (error) return *std::move(error);

  std::vector<std::shared_ptr<AttachedMemory>> memories;
  for (size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].reply.attached) return BadReply("no component");
    *model = answers[i].reply.attached->model;
    auto memory =
        AttachedMemory::Create(*std::move(answers[i].reply.attached), std::move(answers[i].fds),
                               std::move(leases[i]), request, options.writable);
    if (!memory) return std::move(memory).error();
    memories.push_back(*std::move(memory));
  }
  std::erase_if(attached_, [](const auto& weak) { return weak.expired(); });
  attached_.insert(attached_.end(), memories.begin(), memories.end());
  return memories;
}

void Client::Impl::Close() {
  if (connection_) connection_->Close();
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::Connect(ConnectOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  if (auto error = impl->EnsureSession()) return *std::move(error);
  return Client(std::move(impl));
}

Result<Model> Client::AttachAs(const internal::AttachRequest& request, std::span<const int> fds,
                               const AttachOptions& options) {
  std::string name;
  auto memories = impl_->Attach(request, fds, options, &name);
  if (!memories) return std::move(memories).error();
  std::vector<Component> components;
  for (auto& memory : *memories) components.push_back(Component(std::move(memory)));
  return Model(std::move(name), std::move(components));
}

Result<Model> Client::Attach(std::string_view name, const AttachOptions& options) {
  AttachRequest request;
  request.model = name;
  request.component = options.component;
  request.device = options.device;
  request.tensors = options.tensors;
  return AttachAs(request, {}, options);
}

Result<Model> Client::AttachFile(const std::string& path, const AttachOptions& options) {
  // Not to be held up by a FIFO.
  const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return internal::ErrnoError(errno, "open " + path);
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) return internal::ErrnoError(errno, "look at " + path);
  if (!S_ISREG(found.st_mode)) {
    return internal::MakeError("invalid_request", path + " is not a file");
  }
  AttachRequest request;
  request.component = options.component;
  request.device = options.device;
  request.tensors = options.tensors;
  request.file = true;
  request.file_path = path;
  const int fd = file.get();
  return AttachAs(request, {&fd, 1}, options);
}

Result<ModelState> Client::State(std::string_view name) {
  const std::string names[] = {std::string(name)};
  auto states = States(names);
  if (!states) return std::move(states).error();
  return std::move(states->front());
}

Result<std::vector<Result<ModelState>>> Client::States(std::span<const std::string> names) {
  if (names.empty()) return std::vector<Result<ModelState>>();
  auto answer = impl_->CallForOne(internal::EncodeGetModelState(names));
  if (!answer) return std::move(answer).error();
  if (answer->reply.states.size() != names.size()) return BadReply("not a state for each name");
  return std::move(answer->reply.states);
}

Result<std::vector<ModelState>> Client::Models(std::string_view filter) {
  auto answer = impl_->CallForOne(internal::EncodeListModels(filter));
  if (!answer) return std::move(answer).error();
  return std::move(answer->reply.models);
}

Result<ModelState> Client::Cache(std::string_view name, const ProgressFunction& progress) {
  auto answer = impl_->CallForOne(internal::EncodeCache(name), progress);
  if (!answer) return std::move(answer).error();
  if (!answer->reply.cached) return BadReply("no state");
  return *std::move(answer->reply.cached);
}

Result<ModelState> Client::Preload(std::string_view name) {
  auto answer = impl_->CallForOne(internal::EncodePreload(name));
  if (!answer) return std::move(answer).error();
  if (!answer->reply.preloaded) return BadReply("no state");
  return *std::move(answer->reply.preloaded);
}

void Client::Close() { impl_->Close(); }

}  // namespace warmset::inline client_v1

#include "client/connection.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "client/errors.h"
#include "client/frame_io.h"

namespace warmset::inline client_v1::client_internal {

// All connections of this process. A child's copies of their sockets would keep
// the parent's sessions open after the parent is gone, so fork() closes them.
class LiveConnections {
 public:
  static LiveConnections& Instance() {
    static LiveConnections* const instance = new LiveConnections;  // lives as long as handlers do
    return *instance;
  }

  void Add(Connection* connection) {
    const std::lock_guard lock(mutex_);
    connections_.insert(connection);
  }
  void Remove(Connection* connection) {
    const std::lock_guard lock(mutex_);
    connections_.erase(connection);
  }

 private:
  LiveConnections() {
    ::pthread_atfork([] { Instance().mutex_.lock(); }, [] { Instance().mutex_.unlock(); },
                     [] {
                       for (Connection* connection : Instance().connections_) {
                         connection->socket_.Close();
                       }
                       Instance().connections_.clear();
                       Instance().mutex_.unlock();
                     });
  }

  std::mutex mutex_;
  std::unordered_set<Connection*> connections_;  // guarded by mutex_
};

namespace {

constexpr size_t kReleasesInOneFrame = 1000;

// The folder of a path that no variable names: in /tmp anyone could have made
// it and answer in the daemon's place.
std::optional<ClientError> CheckFolder(const std::string& socket_path) {
  const char* named = std::getenv("WARMSET_SOCKET");
  if ((named != nullptr && *named != '\0') || socket_path != DefaultSocketPath()) {
    return std::nullopt;
  }
  const std::string folder = socket_path.substr(0, socket_path.rfind('/'));
  struct stat found{};
  if (::lstat(folder.c_str(), &found) != 0) return std::nullopt;  // connecting will say so
  if (S_ISDIR(found.st_mode) && found.st_uid == ::geteuid() && (found.st_mode & 0022) == 0) {
    return std::nullopt;
  }
  return MakeError("permission_denied",
                   folder +
                       " is not a folder of this user that only this user may write to; "
                       "remove it, or set $WARMSET_SOCKET");
}

// How long one wait on the socket may last; zero: for ever.
void SetPatience(int socket, std::chrono::milliseconds patience) {
  const auto milliseconds = patience.count();
  timeval limit{};
  limit.tv_sec = static_cast<time_t>(milliseconds / 1000);
  limit.tv_usec = static_cast<suseconds_t>(milliseconds % 1000 * 1000);
  (void)::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  (void)::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

Result<OwnedFd> ConnectTo(const std::string& path, std::chrono::milliseconds timeout) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return MakeError("invalid_config", "the socket path " + path + " is too long");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  OwnedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoError(errno, "create a socket");
  SetPatience(socket.get(), timeout);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EAGAIN) return TimedOut();  // too many wait to be accepted
    if (errno == EACCES || errno == EPERM) return ErrnoError(errno, "connect to " + path);
    return MakeError("daemon_unavailable",
                     "no daemon listens on " + path + "; start one with `warmset serve`");
  }
  return socket;
}

}  // namespace

std::string DefaultSocketPath() {
  if (const char* path = std::getenv("WARMSET_SOCKET"); path != nullptr && *path != '\0') {
    return path;
  }
  if (const char* folder = std::getenv("XDG_RUNTIME_DIR"); folder != nullptr && *folder != '\0') {
    return std::string(folder) + "/warmset/warmset.sock";
  }
  return "/tmp/warmset-" + std::to_string(::geteuid()) + "/warmset.sock";
}

Result<std::shared_ptr<Connection>> Connection::Open(const std::string& socket_path,
                                                     std::string_view client_name,
                                                     uint64_t held_bytes,
                                                     std::chrono::milliseconds timeout) {
  if (auto error = CheckFolder(socket_path)) return *std::move(error);
  Result<OwnedFd> socket = ConnectTo(socket_path, timeout);
  if (!socket) return std::move(socket).error();
  std::shared_ptr<Connection> connection(new Connection(std::move(*socket), timeout));
  std::vector<Answer> answers;
  if (auto error = connection->Call(EncodeHello(client_name, held_bytes), {}, nullptr, timeout,
                                    &answers)) {
    return *std::move(error);
  }
  return connection;
}

Connection::Connection(OwnedFd socket, std::chrono::milliseconds patience)
    : owner_(::getpid()), socket_(std::move(socket)), patience_(patience) {
  LiveConnections::Instance().Add(this);
}

Connection::~Connection() { LiveConnections::Instance().Remove(this); }

bool Connection::inherited() const { return ::getpid() != owner_; }

bool Connection::usable() {
  if (inherited()) return false;
  const std::lock_guard receiving(receive_mutex_);
  return TakeEvents();
}

std::optional<ClientError> Connection::EndOf(uint64_t lease) {
  if (inherited()) return std::nullopt;
  if (const std::unique_lock receiving(receive_mutex_, std::try_to_lock); receiving) {
    (void)TakeEvents();  // the next call finds the end of the session, too
  }
  const std::lock_guard lock(mutex_);
  const auto ended = ended_.find(lease);
  return ended == ended_.end() ? std::nullopt : std::optional(ended->second);
}

bool Connection::TakeEvents() {
  while (true) {
    if (!receiver_.has_more()) {
      pollfd state{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&state, 1, 0) == 0) return true;
    }
    Answer answer;
    if (ReceiveAnswer(answer) || !NoteEvent(answer.reply)) {
      Close();
      return false;
    }
  }
}

bool Connection::NoteEvent(const Reply& reply) {
  if (reply.id != 0 || !reply.leases_ended) return false;
  const std::lock_guard lock(mutex_);
  for (const uint64_t lease : reply.leases_ended->leases) {
    ended_.insert_or_assign(lease, reply.leases_ended->why);
  }
  return true;
}

void Connection::Close() {
  // The descriptor stays until no other thread can be using it.
  if (!inherited()) ::shutdown(socket_.get(), SHUT_RDWR);
}

std::optional<ClientError> Connection::Call(std::string_view request, std::span<const int> fds,
                                            const ProgressFunction& progress,
                                            std::chrono::milliseconds patience,
                                            std::vector<Answer>* answers) {
  if (std::exchange(patience_, patience) != patience) SetPatience(socket_.get(), patience);
  const uint64_t id = next_id_++;
  {
    const std::lock_guard lock(send_mutex_);
    // When it fails, what the daemon said before it closed is still to be read.
    (void)SendFrame(socket_.get(), WithId(id, request), fds, /*wait=*/true);
  }
  SendReleases();  // of threads that found send_mutex_ taken
  std::unique_lock receiving(receive_mutex_);
  while (true) {
    Answer answer;
    if (auto error = ReceiveAnswer(answer)) {
      Close();
      return error;
    }
    Reply& reply = answer.reply;
    if (NoteEvent(reply)) continue;
    // Error 0 is about the session.
    if (reply.error && (reply.id == id || reply.id == 0)) return std::move(reply.error);
    if (reply.id != id) {
      Close();
      return BadReply("it is about another request");
    }
    if (reply.progress) {
      if (progress) {
        receiving.unlock();  // it may use what was attached before
        progress(*reply.progress);
        receiving.lock();
      }
      continue;
    }
    const bool more = reply.more;
    answers->push_back(std::move(answer));
    if (!more) return std::nullopt;
  }
}

std::optional<ClientError> Connection::ReceiveAnswer(Answer& answer) {
  ReceivedFrame frame;
  if (auto error = receiver_.Receive(socket_.get(), frame)) return error;
  auto reply = DecodeReply(frame.payload);
  if (!reply) return BadReply("no message of this protocol");
  answer.reply = *std::move(reply);
  answer.fds = std::move(frame.fds);
  return std::nullopt;
}

void Connection::Release(uint64_t lease) {
  if (inherited()) return;
  {
    const std::lock_guard lock(mutex_);
    released_.push_back(lease);
  }
  SendReleases();
}

bool Connection::TrySendReleases(std::span<const uint64_t> leases) {
  const std::string request = WithId(next_id_++, EncodeRelease(leases));
  // When the connection has failed there is nothing to release any more.
  return SendFrame(socket_.get(), request, {}, /*wait=*/false) != SendResult::kWouldBlock;
}

void Connection::SendReleases() {
  while (true) {
    std::vector<uint64_t> leases;
    {
      // Whoever holds it looks for releases after letting go of it.
      const std::unique_lock sending(send_mutex_, std::try_to_lock);
      if (!sending) return;
      {
        const std::lock_guard lock(mutex_);
        const size_t count = std::min(released_.size(), kReleasesInOneFrame);
        leases.assign(released_.end() - static_cast<ptrdiff_t>(count), released_.end());
        released_.resize(released_.size() - count);
      }
      if (!leases.empty() && !TrySendReleases(leases)) {
        const std::lock_guard lock(mutex_);
        released_.insert(released_.end(), leases.begin(), leases.end());
        return;
      }
    }
    const std::lock_guard lock(mutex_);
    if (released_.empty()) return;
  }
}

}  // namespace warmset::inline client_v1::client_internal

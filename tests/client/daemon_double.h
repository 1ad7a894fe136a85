// A daemon for tests of the client: the real server of wire/ with made-up
// models, in a process of its own, so that it can be killed and does not share
// descriptors with clients that fork.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor_index.h"

namespace warmset::client_test {

// What the double has seen, in memory shared with the test. It is up to date
// with all that a session sent before a call of that session returns.
struct Seen {
  std::atomic<int> sessions_opened{0};
  std::atomic<int> sessions_ended{0};
  std::atomic<int> leases{0};  // given and not given back; a session's end gives back its own
  std::atomic<uint64_t> held_bytes{0};  // of the last Hello
  std::atomic<bool> file_was_readable{false};
};

// Its models, by name. "good" has one component with all of GoodTensors(), the
// others are variations of it that the tests name.
class DaemonDouble {
 public:
  explicit DaemonDouble(std::string socket_path);
  ~DaemonDouble();  // kills it

  const Seen& seen() const { return *seen_; }
  // As a crash does.
  void Kill();
  void Restart();
  // Holds it still, as SIGSTOP does, and lets it go on.
  void Stop();
  void Continue();
  // Waits until that many more sessions have ended.
  void WaitForEndedSessions(int count);

 private:
  [[noreturn]] void Run(int ready_fd);

  const std::string socket_path_;
  Seen* const seen_;
  pid_t pid_ = -1;
  int ended_[2] = {-1, -1};  // a pipe: a byte for every session that ended
};

std::vector<TensorEntry> GoodTensors();
// The byte at that offset of a good component's memory.
constexpr std::byte GoodByte(uint64_t offset) { return static_cast<std::byte>(offset * 7 + 1); }
// Of "good" and its like: more than one 2 MiB page, and no whole number of them.
inline constexpr uint64_t kGoodBytes = (uint64_t{5} << 20) + 4096 + 12;

}  // namespace warmset::client_test

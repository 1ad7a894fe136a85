// A daemon of the benchmark's own, on a socket and a home in a temporary folder.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "os/process.h"
#include "os/unique_fd.h"
#include "wire/channel.h"

namespace warmset::bench {

// A folder below `parent` that goes with this object, and all in it.
class TemporaryFolder {
 public:
  static StatusOr<TemporaryFolder> Create(const std::filesystem::path& parent);
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();

  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

class PrivateDaemon {
 public:
  // Starts warmsetd from this program's folder with these further flags, and
  // waits until it answers and its first scan is over.
  static StatusOr<std::unique_ptr<PrivateDaemon>> Start(const std::vector<std::string>& flags);
  // Ends it.
  ~PrivateDaemon();
  PrivateDaemon(const PrivateDaemon&) = delete;
  PrivateDaemon& operator=(const PrivateDaemon&) = delete;

  wire::Channel& channel() { return *channel_; }
  std::string socket() const { return (folder_.path() / "socket").string(); }

  // One call whose answer has one message.
  StatusOr<v1::Response> Call(v1::Request request);
  StatusOr<v1::DaemonStatus> DaemonStatus();
  // Polls until the daemon's status satisfies it; kTimeout after a minute.
  Status WaitFor(const std::function<bool(const v1::DaemonStatus&)>& condition);

  // CPU time that its threads, living and ended, have used.
  StatusOr<double> CpuSeconds() const;

 private:
  explicit PrivateDaemon(TemporaryFolder folder) : folder_(std::move(folder)) {}

  TemporaryFolder folder_;
  os::ChildProcess process_;
  std::unique_ptr<wire::Channel> channel_;
};

}  // namespace warmset::bench

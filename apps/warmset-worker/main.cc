// The process that owns one device. The daemon starts it; docs/design/sync.md.
#include <chrono>
#include <csignal>
#include <string>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "base/units.h"
#include "device/device.h"
#include "google/protobuf/stubs/logging.h"
#include "os/event_loop.h"
#include "os/signal_fd.h"
#include "os/unique_fd.h"
#include "spdlog/spdlog.h"
#include "worker/worker.h"

namespace warmset {
namespace {

Status Run(const std::string& device_id, const std::string& memory, int fd) {
  os::UniqueFd socket(fd);
  ASSIGN_OR_RETURN(const ByteCount budget, ParseSize(memory, ByteCount()));
  ASSIGN_OR_RETURN(const std::unique_ptr<Device> device, OpenDevice(DeviceId(device_id), budget));
  ASSIGN_OR_RETURN(const std::unique_ptr<os::EventLoop> loop, os::EventLoop::Create());
  // The monotonic clock grows from process to process as long as the machine
  // runs, and a daemon knows no worker from before that.
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  const auto epoch = std::chrono::duration_cast<std::chrono::nanoseconds>(since_boot).count();
  Worker worker(*loop, *device, std::move(socket), static_cast<uint64_t>(epoch));
  return worker.Serve();
}

}  // namespace
}  // namespace warmset

int main(int argc, char** argv) {
  CLI::App app("Owns one device for warmsetd, which starts it; not to be started by hand.");
  std::string device;
  std::string memory;
  int fd = -1;
  app.add_option("--device", device, "Backend and index, such as host:0")->required();
  app.add_option("--memory", memory, "Budget of the device's arena, such as 4GiB")->required();
  app.add_option("--fd", fd, "Descriptor of the socket to the daemon")->required();
  CLI11_PARSE(app, argc, argv);

  // A terminal's Ctrl-C reaches the whole process group; the daemon ends first
  // and then its workers.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  warmset::StartLog("warmset-worker", "info");
  warmset::os::IgnoreFileSizeSignal();
  warmset::os::IgnorePipeSignal();
  google::protobuf::SetLogHandler(nullptr);  // what is invalid comes back as an error

  const warmset::Status status = warmset::Run(device, memory, fd);
  if (status.ok()) return 0;
  spdlog::error("worker of {}: {}", device, warmset::Message(status));
  return 1;
}

// The daemon. `warmset serve` starts it with the same flags.
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/synchronization/mutex.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/options.h"
#include "daemon/serve_flags.h"
#include "fmt/format.h"
#include "google/protobuf/stubs/logging.h"
#include "os/limits.h"
#include "os/signal_fd.h"
#include "spdlog/spdlog.h"
#include "wire/plain_json.h"

namespace warmset {
namespace {

// Written to the user, not to the log: the daemon has not started.
int Fail(const Status& status, bool json) {
  if (json) fmt::print("{}", wire::ErrorDocument(status));
  fmt::print(stderr, "warmset: {}: {}\n", ErrorCodeName(CodeOf(status)), Message(status));
  return 1;
}

// What a program that starts the daemon waits for: docs/json.md.
void PrintReady(const std::string& socket) {
  std::string text;
  JsonWriter json(text, JsonWriter::Form::kIndented);
  json.BeginObject();
  json.Field("version", WARMSET_VERSION);
  json.Field("pid", ::getpid());
  json.Field("socket", socket);
  json.EndObject();
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

int Run(const OptionFlags& flags, bool json) {
  auto options = LoadOptions(flags);
  if (!options.ok()) return Fail(options.status(), json);
  StartLog("warmsetd", options->log_level);
  // It reports text that is not UTF-8, which any client may send.
  google::protobuf::SetLogHandler(nullptr);
#ifdef NDEBUG
  // The distribution's build of the library looks for cycles at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  // Every entry, lease and client is a descriptor.
  if (const Status raised = os::RaiseSoftLimit(os::Resource::kOpenFiles); !raised.ok()) {
    spdlog::warn("few clients at a time: {}", Message(raised));
  }
  const std::string socket = options->socket;
  auto daemon = Daemon::Start(*std::move(options));
  if (!daemon.ok()) return Fail(daemon.status(), json);
  if (json) PrintReady(socket);
  (*daemon)->Run();
  if (!(*daemon)->Close()) {
    (void)daemon->release();
    spdlog::shutdown();
    std::_Exit(0);
  }
  return 0;
}

}  // namespace
}  // namespace warmset

int main(int argc, char** argv) {
  warmset::os::IgnoreFileSizeSignal();
  warmset::os::IgnorePipeSignal();
  // What a scan of many files needs for a moment is given back as a whole only where threads
  // do not each keep a heap of their own.
  ::mallopt(M_ARENA_MAX, 1);
  CLI::App app(
      "Keeps AI models warm. Usually started by `warmset serve`.\n\n"
      "Example: warmsetd --root ~/models --ram-limit 8GiB",
      "warmsetd");
  warmset::OptionFlags flags;
  warmset::AddServeFlags(app, flags);
  bool json = false;
  app.add_flag("--json", json, "print one JSON document when it listens, or the error");
  CLI11_PARSE(app, argc, argv);
  return warmset::Run(flags, json);
}

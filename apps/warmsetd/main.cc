// The daemon. `warmset serve` starts it with the same flags.
#include <cstdio>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/synchronization/mutex.h"
#include "daemon/daemon.h"
#include "daemon/options.h"
#include "daemon/serve_flags.h"
#include "fmt/format.h"
#include "google/protobuf/stubs/logging.h"
#include "os/limits.h"
#include "spdlog/sinks/stdout_color_sinks.h"
#include "spdlog/spdlog.h"

namespace warmset {
namespace {

int Fail(const Status& status) {
  fmt::print(stderr, "warmset: {}: {}\n", ErrorCodeName(CodeOf(status)), Message(status));
  return 1;
}

int Run(const OptionFlags& flags) {
  auto options = LoadOptions(flags);
  if (!options.ok()) return Fail(options.status());
  spdlog::set_default_logger(spdlog::stderr_color_mt("warmsetd"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(options->log_level));
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
  auto daemon = Daemon::Start(*std::move(options));
  if (!daemon.ok()) return Fail(daemon.status());
  (*daemon)->Run();
  return 0;
}

}  // namespace
}  // namespace warmset

int main(int argc, char** argv) {
  CLI::App app("Keeps AI models warm. Usually started by `warmset serve`.\n\n"
               "Example: warmsetd --root ~/models --ram-limit 8GiB",
               "warmsetd");
  warmset::OptionFlags flags;
  warmset::AddServeFlags(app, flags);
  CLI11_PARSE(app, argc, argv);
  return warmset::Run(flags);
}

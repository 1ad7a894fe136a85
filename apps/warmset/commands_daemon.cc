// The daemon itself: serve, ps, devices, config, shutdown.
#include <chrono>

#include "commands.h"
#include "daemon/option_table.h"
#include "daemon/options.h"
#include "daemon/serve_flags.h"
#include "fmt/format.h"
#include "os/process.h"
#include "render.h"

namespace warmset::cli {
namespace {

constexpr std::chrono::seconds kShutdownPatience{30};

StatusOr<int> RunServe(const Context& context, const OptionFlags& flags) {
  std::vector<std::string> argv = {os::ProgramDirectory() + "warmsetd"};
  if (context.json) argv.emplace_back("--json");
  if (!flags.config_file.empty()) argv.push_back("--config=" + flags.config_file);
  for (const OptionRow& row : OptionTable()) {
    const auto values = flags.values.find(std::string(row.key));
    if (values == flags.values.end()) continue;
    for (const std::string& value : values->second) {
      argv.push_back(fmt::format("{}={}", row.flag, value));
    }
  }
  return os::ReplaceProcess(argv);
}

struct PsArguments {
  bool usage = false;
};

StatusOr<int> RunPs(const Context& context, const PsArguments& arguments) {
  v1::Request request;
  if (arguments.usage) {
    request.mutable_get_cache_usage();
    ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
    return context.Show(response.cache_usage(), [&](const Screen& screen) {
      return RenderUsage(response.cache_usage(), screen);
    });
  }
  request.mutable_list_active();
  ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
  return context.Show(response.active(), [&](const Screen& screen) {
    const v1::ActiveList& active = response.active();
    return RenderActive(active, screen) + (active.has_scan() ? RenderScan(active.scan()) : "");
  });
}

StatusOr<int> RunDevices(const Context& context) {
  v1::Request request;
  request.mutable_get_status();
  ASSIGN_OR_RETURN(const v1::Response response, context.Call(std::move(request)));
  return context.Show(response.status(), [&](const Screen& screen) {
    return RenderDevices(response.status(), screen);
  });
}

// What a daemon that is started now would use.
StatusOr<v1::ConfigReply> ConfigWithoutDaemon(const OptionFlags& flags) {
  ASSIGN_OR_RETURN(const Options options, LoadOptions(flags));
  v1::ConfigReply reply;
  reply.set_file(options.config_file);
  for (const OptionValue& value : DescribeOptions(options)) {
    v1::ConfigValue& added = *reply.add_values();
    added.set_key(value.key);
    added.set_value(value.value);
    added.set_source(std::string(OptionSourceName(value.source)));
  }
  return reply;
}

StatusOr<int> RunConfig(const Context& context, const OptionFlags& flags) {
  const auto print = [&](const v1::ConfigReply& reply, const std::string& note) {
    return context.Show(reply, [&](const Screen& screen) {
      return screen.style.Dim(note) + "\n" + RenderConfig(reply, screen);
    });
  };
  if (flags.config_file.empty()) {
    v1::Request request;
    request.mutable_get_config();
    const auto response = context.Call(std::move(request));
    if (response.ok()) return print(response->config(), "The running daemon uses:");
    if (CodeOf(response.status()) != ErrorCode::kDaemonUnavailable) return response.status();
  }
  ASSIGN_OR_RETURN(const v1::ConfigReply reply, ConfigWithoutDaemon(flags));
  return print(reply, "`warmset serve` would use:");
}

// A daemon that a disk does not answer ends all the same: the process lasts as long as the
// kernel waits for the disk, but holds nothing any more.
enum class DaemonEnd { kWhole, kThreadsLeft, kNone };

StatusOr<DaemonEnd> AwaitEnd(int pidfd, pid_t pid) {
  constexpr std::chrono::milliseconds kLook{100};
  const auto deadline = std::chrono::steady_clock::now() + kShutdownPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    ASSIGN_OR_RETURN(const bool ended, os::WaitForEnd(pidfd, kLook));
    if (ended) return DaemonEnd::kWhole;
    if (os::StateOf(pid) == 'Z') return DaemonEnd::kThreadsLeft;
  }
  return DaemonEnd::kNone;
}

StatusOr<int> RunShutdown(const Context& context) {
  ASSIGN_OR_RETURN(wire::Channel channel, context.Connect());
  const int pid = channel.daemon().pid();
  // In another pid namespace it can't be watched; then its answer must do.
  const auto pidfd = os::OpenPidFd(pid);
  v1::Request request;
  request.mutable_shutdown();
  ASSIGN_OR_RETURN(const wire::Answer answer, channel.Call(std::move(request)));
  DaemonEnd end = DaemonEnd::kWhole;
  if (pidfd.ok()) {
    ASSIGN_OR_RETURN(end, AwaitEnd(pidfd->get(), pid));
  }
  if (end == DaemonEnd::kNone) {
    return Error(ErrorCode::kTimeout,
                 fmt::format("the daemon (process {}) has not ended after {} s", pid,
                             kShutdownPatience.count()));
  }
  return context.Show(answer.response.shutdown(), [&](const Screen&) {
    return fmt::format(
        "the daemon (process {}) has ended{}\n", pid,
        end == DaemonEnd::kWhole ? "" : "; threads of it stay until a disk answers them");
  });
}

}  // namespace

void AddServe(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<OptionFlags>();
  CLI::App* const command = AddCommand(app, context, "serve", "Run the daemon in the foreground",
                                       "warmset serve --root ~/models --ram-limit 50%");
  command->get_option("--json")->description(
      "print one JSON document when it listens, or the error");
  AddServeFlags(*command, *flags);
  OnCommand(command, context, RunServe, flags);
}

void AddPs(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<PsArguments>();
  CLI::App* const command =
      AddClientCommand(app, context, "ps", "Show what is in RAM and on devices, and who uses it",
                       "warmset ps --usage");
  command->add_flag("--usage", arguments->usage,
                    "show how well RAM serves: hits, access times, compression, evictions");
  OnCommand(command, context, RunPs, arguments);
}

void AddDevices(CLI::App& app, Context& context) {
  OnCommand(AddClientCommand(app, context, "devices", "Show the devices and their workers",
                             "warmset devices"),
            context, RunDevices);
}

void AddConfig(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<OptionFlags>();
  CLI::App* const command = AddClientCommand(
      app, context, "config", "Show the settings in effect, and where each comes from",
      "warmset config --config ./warmset.toml");
  command->add_option("--config", flags->config_file, "show what `serve` would use with this file")
      ->type_name("FILE");
  OnCommand(command, context, RunConfig, flags);
}

void AddShutdown(CLI::App& app, Context& context) {
  OnCommand(AddClientCommand(app, context, "shutdown", "End the daemon; leased memory stays mapped",
                             "warmset shutdown"),
            context, RunShutdown);
}

}  // namespace warmset::cli

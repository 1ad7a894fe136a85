#include "commands.h"
#include "daemon/options.h"
#include "doctor/check.h"
#include "fmt/format.h"

namespace warmset::cli {
namespace {

// The roots of the daemon that runs, else those that one would have.
std::vector<std::string> Roots(const DaemonLook& daemon, const Options& options) {
  if (!daemon.answer.ok()) return options.roots;
  return {daemon.status.roots().begin(), daemon.status.roots().end()};
}

StatusOr<int> RunDoctor(const Context& context, const OptionFlags& flags) {
  Checks checks;
  CheckKernel(checks);
  CheckLimits(checks);
  const DaemonLook daemon = LookAtDaemon(context.SocketPath());
  const auto options = LoadOptions(flags);
  if (options.ok()) {
    CheckFolders(options->home, Roots(daemon, *options), checks);
    if (options->socket != context.SocketPath()) {
      checks.push_back(Warn("socket",
                            fmt::format("the configuration has the daemon listen at {}, where "
                                        "clients don't look",
                                        options->socket),
                            "export WARMSET_SOCKET=" + options->socket));
    }
  } else {
    checks.push_back(Fail("config", std::string(Message(options.status())), "mend the file"));
  }
  CheckDaemon(context.SocketPath(), daemon, checks);
  CheckPython(checks);
  PrintOut(context.json ? ChecksJson(checks) : RenderChecks(checks, StdoutScreen()));
  return AnyFailed(checks) ? kExitFailure : 0;
}

}  // namespace

void AddDoctor(CLI::App& app, Context& context) {
  const auto flags = std::make_shared<OptionFlags>();
  CLI::App* const command = AddClientCommand(
      app, context, "doctor", "Check kernel, limits and folders, and say how to mend them",
      "warmset doctor");
  command->add_option("--config", flags->config_file, "look at this file's settings")
      ->type_name("FILE");
  OnCommand(command, context, RunDoctor, flags);
}

}  // namespace warmset::cli

#include <cstdio>

#include "commands.h"
#include "fmt/format.h"

namespace warmset::cli {
namespace {

// "warmset ps", or "warmset" before a command was recognised.
std::string CommandName(const CLI::App& app) {
  const auto commands = app.get_subcommands();
  return commands.empty() ? "warmset" : "warmset " + commands.front()->get_name();
}

int ReportUsage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  fmt::print(stderr, "warmset: usage: {}; see `{} --help`\n", Printable(error.what()),
             CommandName(app));
  return kExitUsage;
}

}  // namespace

int Main(int argc, char** argv) {
  CLI::App app("Warmset keeps AI models warm: in RAM, on devices, in any process without a copy.",
               "warmset");
  Context context;
  app.set_version_flag("--version", "warmset " WARMSET_VERSION);
  app.require_subcommand(1);
  app.footer("Each command explains itself: warmset COMMAND --help");
  for (const auto add :
       {AddServe, AddRun, AddScan, AddList, AddShow, AddOverride, AddCache, AddPreload,
        AddUncache, AddPath, AddLoad, AddUnload, AddPlan, AddPs, AddDevices, AddInspect,
        AddDoctor, AddConfig, AddShutdown}) {
    add(app, context);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return ReportUsage(app, error);
  }
  const StatusOr<int> exit_code = context.action(context);
  int result = exit_code.ok() ? *exit_code : context.Report(exit_code.status());
  if (std::fflush(stdout) != 0) {
    std::perror("warmset: io_error: write the output");
    result = kExitFailure;
  }
  return result;
}

}  // namespace warmset::cli

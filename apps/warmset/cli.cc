#include <algorithm>
#include <cstdio>
#include <string_view>

#include "base/json_writer.h"
#include "commands.h"
#include "fmt/format.h"
#include "help_formatter.h"
#include "os/terminal.h"
#include "usage.h"

namespace warmset::cli {
namespace {

constexpr int kStdout = 1;

// Whether the user asks for JSON, though the rest could not be understood.
bool WantsJson(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--json") return true;
    if (word == "--") return false;
  }
  return false;
}

std::string UsageJson(const UsageError& usage) {
  std::string text;
  JsonWriter json(text, JsonWriter::Form::kIndented);
  json.BeginObject();
  json.Key("error");
  json.BeginObject();
  json.Field("code", "usage");
  json.Field("message", usage.message);
  json.Key("candidates");
  json.BeginArray();
  for (const std::string& candidate : usage.candidates) json.String(candidate);
  json.EndArray();
  json.EndObject();
  json.EndObject();
  return text + "\n";
}

int ReportUsage(const CLI::App& app, const CLI::ParseError& error, bool json) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  const UsageError usage = ExplainUsage(app, error);
  if (json) PrintOut(UsageJson(usage));
  fmt::print(stderr, "warmset: usage: {}\n{}", usage.message, usage.more);
  return kExitUsage;
}

StatusOr<int> PrintVersion(const Context& context) {
  if (!context.json) {
    PrintOut("warmset " WARMSET_VERSION "\n");
    return 0;
  }
  std::string text;
  JsonWriter json(text, JsonWriter::Form::kIndented);
  json.BeginObject();
  json.Field("version", WARMSET_VERSION);
  json.EndObject();
  PrintOut(text + "\n");
  return 0;
}

void AddVersion(CLI::App& app, Context& context) {
  OnCommand(
      AddCommand(app, context, "version", "Print this program's version", "warmset version --json"),
      context, PrintVersion);
}

// The words after the program's name. `help plan cache` is `plan cache --help`.
std::vector<std::string> WordsOf(const CLI::App& app, int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words.front() != "help") return words;
  words.erase(words.begin());
  // Help for a command that does not exist would be that of the program.
  const auto named = app.get_subcommands([&](const CLI::App* command) {
    return !words.empty() && command->check_name(words.front());
  });
  if (words.empty() || !named.empty()) words.emplace_back("--help");
  return words;
}

}  // namespace

int Main(int argc, char** argv) {
  CLI::App app("Warmset keeps AI models warm: in RAM, on devices, in any process without a copy.",
               "warmset");
  app.formatter(std::make_shared<HelpFormatter>(os::TerminalColumns(kStdout)));
  Context context;
  app.set_version_flag("--version", "warmset " WARMSET_VERSION)
      ->description("print this program's version");
  app.set_help_flag("-h,--help", "print this help");
  app.require_subcommand(1);
  app.footer(
      "`warmset help COMMAND` explains a command. Exit codes: 0 done, 1 failed, 2 wrong usage.");
  for (const auto add :
       {AddServe,   AddRun,     AddScan,   AddList,   AddShow,     AddOverride, AddCache,
        AddPreload, AddUncache, AddPath,   AddLoad,   AddUnload,   AddPlan,     AddPs,
        AddDevices, AddInspect, AddDoctor, AddConfig, AddShutdown, AddVersion}) {
    add(app, context);
  }
  std::vector<std::string> words = WordsOf(app, argc, argv);
  std::reverse(words.begin(), words.end());  // as the library takes them
  try {
    app.parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    return ReportUsage(app, error, WantsJson(argc, argv));
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

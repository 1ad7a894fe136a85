#include <cstdlib>

#include "commands.h"
#include "fmt/format.h"
#include "os/process.h"
#include "python_hook.h"

namespace warmset::cli {
namespace {

struct RunArguments {
  std::vector<std::string> command;
  bool require = false;
};

// The option that has the interpreter look at no PYTHONPATH, or import no
// sitecustomize; empty when there is none, or the program is not called as Python is.
std::string OptionAgainstHook(const std::vector<std::string>& command) {
  const std::string name = command[0].substr(command[0].rfind('/') + 1);
  if (!name.starts_with("python") && !name.starts_with("pypy")) return "";
  for (size_t i = 1; i < command.size() && command[i].starts_with('-'); ++i) {
    const std::string& options = command[i];
    if (options.starts_with("--")) continue;
    const size_t found = options.find_first_of("IESXWmc");
    if (found == std::string::npos) continue;
    if (std::string_view("IES").find(options[found]) != std::string_view::npos) {
      return std::string("-") + options[found];
    }
    if (options[found] == 'm' || options[found] == 'c') break;  // the program's own follow
    if (found + 1 == options.size()) ++i;  // the value of -X or -W
  }
  return "";
}

void Export(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

StatusOr<int> RunProgram(const Context& context, const RunArguments& arguments) {
  ASSIGN_OR_RETURN(std::string python_path, FindPythonHook(os::ProgramDirectory()));
  if (const char* const before = std::getenv("PYTHONPATH"); before != nullptr && *before != '\0') {
    python_path += fmt::format(":{}", before);
  }
  Export("PYTHONPATH", python_path);
  Export("WARMSET_SOCKET", context.SocketPath());
  if (arguments.require) Export("WARMSET", "require");

  if (const std::string option = OptionAgainstHook(arguments.command); !option.empty()) {
    fmt::print(stderr,
               "warmset: Python does not look for Warmset's hook with {0}: the program reads its "
               "files itself. Leave {0} out, or begin the program with `import warmset.auto`\n",
               option);
  }
  const Status failed = os::ReplaceProcess(arguments.command);
  // The codes that shells and env(1) give.
  context.Report(failed);
  return CodeOf(failed) == ErrorCode::kFileNotFound ? 127 : 126;
}

}  // namespace

void AddRun(CLI::App& app, Context& context) {
  const auto arguments = std::make_shared<RunArguments>();
  CLI::App* const command = AddClientCommand(
      app, context, "run", "Run a Python program with Warmset in place of safetensors",
      "warmset run -- python serve.py --port 8000");
  command->get_option("--json")->description("print an error as one JSON document too");
  command->add_option("COMMAND", arguments->command, "the program and its arguments, after --")
      ->required();
  command->add_flag("--require", arguments->require,
                    "fail where plain safetensors would step in (WARMSET=require)");
  OnCommand(command, context, RunProgram, arguments);
}

}  // namespace warmset::cli

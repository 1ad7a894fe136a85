#include "usage.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/nearest.h"
#include "base/units.h"
#include "fmt/format.h"
#include "fmt/ranges.h"
#include "text.h"

namespace warmset::cli {
namespace {

using Words = std::vector<std::string>;

// Commands of other programs, explained by those that do it here.
struct ExplainedWord {
  std::string_view word;
  std::string_view text;
};
constexpr std::string_view kDropsOnly =
    "Warmset deletes no files; `warmset uncache MODEL` drops a model from RAM";
constexpr std::array kExplained = {
    ExplainedWord{"rm", kDropsOnly},
    ExplainedWord{"remove", kDropsOnly},
    ExplainedWord{"delete", kDropsOnly},
    ExplainedWord{"stop",
                  "`warmset shutdown` ends the daemon; `warmset uncache MODEL` drops a model from "
                  "RAM, `warmset unload MODEL` takes it off a device"},
    ExplainedWord{"start", "`warmset serve` runs the daemon"},
    ExplainedWord{"status",
                  "`warmset ps` shows what is in RAM, `warmset devices` the devices, `warmset "
                  "doctor` what is wrong"},
    ExplainedWord{"info", "`warmset show MODEL` shows what is known about a model"},
    ExplainedWord{"pull",
                  "Warmset downloads no models; `warmset scan DIR` finds those that are there"},
};

const CLI::App* DeepestParsed(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  return command;
}

// "warmset plan cache".
std::string FullName(const CLI::App* command) {
  std::string name = command->get_name();
  while ((command = command->get_parent()) != nullptr) name = command->get_name() + " " + name;
  return name;
}

Words CommandsOf(const CLI::App& command) {
  Words names;
  for (const CLI::App* each : command.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(each->get_name());
  }
  return names;
}

Words FlagsOf(const CLI::App& command) {
  Words names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// The message with the nearest of the words.
UsageError Nearest(std::string message, const std::string& word, const Words& words) {
  const std::vector<std::string_view> views(words.begin(), words.end());
  UsageError usage{.message = message + NearText(word, views), .candidates = {}, .more = {}};
  for (const std::string_view near : NearTo(word, views)) usage.candidates.emplace_back(near);
  return usage;
}

UsageError UnknownCommand(const CLI::App& above, const std::string& word) {
  const std::string name = FullName(&above);
  const std::string shown = Printable(word);
  const Words commands = CommandsOf(above);
  UsageError usage = Nearest(fmt::format("`{}` has no command '{}'", name, shown), word, commands);
  const auto explained = std::find_if(kExplained.begin(), kExplained.end(),
                                      [&](const auto& row) { return row.word == word; });
  if (above.get_parent() == nullptr && explained != kExplained.end()) {
    usage = {.message = fmt::format("`{}` has no command '{}': {}", name, shown, explained->text),
             .candidates = {},
             .more = {}};
  }
  usage.more =
      fmt::format("Its commands: {}\n`{} --help` explains them\n", fmt::join(commands, ", "), name);
  return usage;
}

}  // namespace

UsageError ExplainUsage(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* const command = DeepestParsed(app);
  const std::string name = FullName(command);
  const std::string see = fmt::format("; see `{} --help`", name);
  Words left = command->remaining();
  if (left.empty()) left = app.remaining();
  const auto is_flag = [](const std::string& word) {
    return word.size() > 1 && word.starts_with('-') && word != "--";
  };
  const bool needs_command = command->get_require_subcommand_min() > 0;
  const auto wanted = std::find_if_not(left.begin(), left.end(), is_flag);
  if (needs_command && wanted != left.end()) return UnknownCommand(*command, *wanted);
  const auto flag = std::find_if(left.begin(), left.end(), is_flag);
  if (flag != left.end()) {
    const std::string word = flag->substr(0, flag->find('='));
    UsageError usage = Nearest(fmt::format("`{}` has no flag '{}'", name, Printable(word)), word,
                               FlagsOf(*command));
    usage.message += see;
    usage.more = fmt::format("Its flags: {}\n", fmt::join(FlagsOf(*command), ", "));
    return usage;
  }
  if (needs_command) {
    return {.message = fmt::format("`{}` needs a command", name),
            .candidates = {},
            .more = "\n" + command->help()};
  }
  if (!left.empty()) {
    return {.message = fmt::format("`{}` takes no '{}'{}", name, Printable(left.front()), see),
            .candidates = {},
            .more = {}};
  }
  return {.message = Printable(error.what()) + see, .candidates = {}, .more = {}};
}

CLI::Validator OneOf(std::vector<std::string> words) {
  const auto check = [words = std::move(words)](std::string& text) -> std::string {
    const std::string lower = LowerCase(text);
    if (std::find(words.begin(), words.end(), lower) != words.end()) {
      text = lower;
      return "";
    }
    const std::vector<std::string_view> views(words.begin(), words.end());
    return fmt::format("'{}' is none of {}{}", text, fmt::join(words, ", "), NearText(text, views));
  };
  return CLI::Validator(check, "");
}

CLI::Validator Duration() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        const auto duration = ParseDuration(text);
        return duration.ok() ? "" : std::string(Message(duration.status()));
      },
      "");
}

}  // namespace warmset::cli

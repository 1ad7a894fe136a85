// The program as users run it: arguments, help, exit codes, streams.
#include <map>
#include <sstream>

#include "cli_fixture.h"
#include "doctor/check.h"
#include "fmt/format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "text.h"

namespace warmset::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class EveryCommand : public CliTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(EveryCommand, HelpHasAnExampleAndJson) {
  const Outcome outcome = Run(std::string(GetParam()) + " --help");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr(fmt::format("Example:\n  ")));
  EXPECT_THAT(outcome.out, HasSubstr(fmt::format("warmset {}", GetParam())));
  EXPECT_THAT(outcome.out, HasSubstr("--json"));
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_P(EveryCommand, UnknownFlagIsAUsageError) {
  const Outcome outcome = Run(std::string(GetParam()) + " --no-such-flag");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, StartsWith("warmset: usage: "));
  EXPECT_THAT(outcome.err, HasSubstr(fmt::format("see `warmset {} --help`", GetParam())));
  EXPECT_THAT(outcome.err,
              HasSubstr(fmt::format("`warmset {}` has no flag '--no-such-flag'", GetParam())));
  EXPECT_THAT(outcome.err, HasSubstr("Its flags: --help, --json"));
}

TEST_P(EveryCommand, HelpFitsIn80Columns) {
  std::istringstream lines(Run(std::string(GetParam()) + " --help").out);
  for (std::string line; std::getline(lines, line);) {
    // A flag's own column is as wide as its name.
    if (line.find("--") != std::string::npos) continue;
    EXPECT_LE(Columns(line), 80u) << line;
  }
}

INSTANTIATE_TEST_SUITE_P(Commands, EveryCommand,
                         ::testing::Values("serve", "run", "scan", "list", "show", "override",
                                           "cache", "preload", "uncache", "path", "load", "unload",
                                           "ps", "devices", "inspect", "doctor", "config",
                                           "shutdown", "version"),
                         [](const auto& command) { return std::string(command.param); });

class EveryDaemonCommand : public CliTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(EveryDaemonCommand, SaysHowToStartADaemon) {
  const Outcome outcome = Run(GetParam());
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, IsEmpty());
  EXPECT_THAT(outcome.err, StartsWith("warmset: daemon_unavailable: "));
  EXPECT_THAT(outcome.err, HasSubstr("warmset serve"));
}

TEST_P(EveryDaemonCommand, ErrorIsOneJsonDocument) {
  const Outcome outcome = Run(std::string(GetParam()) + " --json");
  EXPECT_EQ(outcome.exit_code, 1);
  const auto document = ParseJson(outcome.out);
  ASSERT_EQ(document.fields().count("error"), 1u);
  const auto& error = document.fields().at("error").struct_value();
  EXPECT_EQ(error.fields().at("code").string_value(), "daemon_unavailable");
  EXPECT_THAT(error.fields().at("message").string_value(), HasSubstr(folder_));
  EXPECT_EQ(error.fields().count("candidates"), 1u);
}

INSTANTIATE_TEST_SUITE_P(Commands, EveryDaemonCommand,
                         ::testing::Values("scan", "list", "show m", "override m --clear", "cache m", "uncache m",
                                           "path m", "load m", "unload m", "ps", "devices",
                                           "shutdown"));

TEST_F(CliTest, UsageErrors) {
  for (const char* const arguments : {"", "frobnicate", "show", "show a b", "show m --device host:0", "override m",
                                      "override m --clear --kind lora", "cache", "run",
                                      "list --sort colour", "load m --pool mine", "ps extra"}) {
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments;
    EXPECT_THAT(outcome.err, StartsWith("warmset: usage: ")) << arguments;
    EXPECT_THAT(outcome.out, IsEmpty()) << arguments;
  }
}

TEST_F(CliTest, WithoutACommandItShowsThem) {
  const Outcome outcome = Run("");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, StartsWith("warmset: usage: `warmset` needs a command\n"));
  EXPECT_THAT(outcome.err, HasSubstr("  cache       Read a model into RAM\n"));
}

TEST_F(CliTest, HelpExplainsCommands) {
  EXPECT_EQ(Run("help").out, Run("--help").out);
  EXPECT_EQ(Run("help cache").out, Run("cache --help").out);
  EXPECT_EQ(Run("help plan load").out, Run("plan load --help").out);
  const Outcome unknown = Run("help frobnicate");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("`warmset` has no command 'frobnicate'\n"));
}

TEST_F(CliTest, AnUnknownCommandIsNamedWithTheNearest) {
  const Outcome outcome = Run("cahce m");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, StartsWith("warmset: usage: `warmset` has no command 'cahce'; the "
                                      "nearest is 'cache'\nIts commands: serve, run, scan, "));
  EXPECT_THAT(Run("plan lod m").err,
              HasSubstr("`warmset plan` has no command 'lod'; the nearest is 'load'\n"
                        "Its commands: cache, load\n"));
}

TEST_F(CliTest, WordsOfOtherProgramsAreKnownOrExplained) {
  EXPECT_THAT(Run("ls --json").out, HasSubstr("daemon_unavailable"));
  EXPECT_THAT(Run("rm m").err, HasSubstr("`warmset uncache MODEL` drops a model from RAM"));
  EXPECT_THAT(Run("stop").err, HasSubstr("`warmset shutdown` ends the daemon"));
  EXPECT_THAT(Run("status").err, HasSubstr("`warmset ps` shows what is in RAM"));
  EXPECT_EQ(Run("version").out, Run("--version").out);
  EXPECT_EQ(ParseJson(Run("version --json").out).fields().count("version"), 1u);
}

TEST_F(CliTest, AUsageErrorIsAJsonDocumentToo) {
  for (const char* const arguments : {"lsit --json", "list --srot size --json", "show --json"}) {
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, StartsWith("warmset: usage: "));
    const auto error = ParseJson(outcome.out).fields().at("error").struct_value();
    EXPECT_EQ(error.fields().at("code").string_value(), "usage");
    EXPECT_EQ(error.fields().count("candidates"), 1u);
  }
  EXPECT_THAT(Run("lsit --json").out, HasSubstr("\"list\""));
}

TEST_F(CliTest, WordsAreCheckedAndCaseDoesNotMatter) {
  EXPECT_THAT(Run("list --kind lorra").err, HasSubstr("'lorra' is none of checkpoint, pipeline, "));
  EXPECT_THAT(Run("list --kind lorra").err, HasSubstr("; the nearest is 'lora'"));
  EXPECT_THAT(Run("list --verdict good").err, HasSubstr("none of ok, unrecognized, "));
  EXPECT_THAT(Run("override m --kind foo").err, HasSubstr("'foo' is none of"));
  EXPECT_THAT(Run("cache m --strategy fast").err,
              HasSubstr("'fast' is none of speed, memory, balanced, adaptive, default"));
  EXPECT_THAT(Run("cache m --keep 5").err, HasSubstr("'5' is not a duration"));
  for (const char* const good :
       {"list --kind LoRA", "list --sort SIZE", "list --verdict OK", "cache m --strategy optimized",
        "cache m --strategy Memory-Optimized", "cache m --strategy standard",
        "load m --pool SHARED"}) {
    EXPECT_EQ(Run(good).exit_code, 1) << good;  // there is no daemon
  }
}

TEST_F(CliTest, ServeReportsItsErrorsAsJson) {
  const Outcome outcome = Run("serve --json --root /no/such/folder");
  EXPECT_EQ(outcome.exit_code, 1);
  const auto error = ParseJson(outcome.out).fields().at("error").struct_value();
  EXPECT_EQ(error.fields().at("code").string_value(), "invalid_config");
  EXPECT_THAT(error.fields().at("message").string_value(),
              HasSubstr("/no/such/folder does not exist; give a folder with models"));
}

TEST_F(CliTest, Version) {
  const Outcome outcome = Run("--version");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, StartsWith("warmset "));
}

TEST_F(CliTest, OutputThatCannotBeWrittenIsAFailure) {
  fs::create_symlink("/dev/full", folder_ + "/out");
  const Outcome outcome = Run("config");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("io_error"));
}

TEST_F(CliTest, ConfigWithoutADaemonShowsSources) {
  std::ofstream(folder_ + "/w.toml") << "[memory]\nram_limit = '8GiB'\n";
  const Outcome outcome = Run(fmt::format("config --json --config {}/w.toml", folder_));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  std::map<std::string, std::pair<std::string, std::string>> values;
  const auto document = ParseJson(outcome.out);
  for (const auto& item : document.fields().at("values").list_value().values()) {
    const auto& fields = item.struct_value().fields();
    values[fields.at("key").string_value()] = {fields.at("value").string_value(),
                                               fields.at("source").string_value()};
  }
  using Expected = std::pair<std::string, std::string>;
  EXPECT_EQ(values.at("memory.ram_limit"), Expected("8GiB", "file"));
  EXPECT_EQ(values.at("socket"), Expected(folder_ + "/socket", "environment"));
  EXPECT_EQ(values.at("models.watch"), Expected("on", "default"));
}

TEST_F(CliTest, ServeRefusesAWrongSetting) {
  const Outcome outcome = Run("serve --ram-limit lots");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("invalid_config: --ram-limit: 'lots' is not a size"));
}

TEST_F(CliTest, RunPassesArgumentsEnvironmentAndExitCode) {
  fs::create_directory(folder_ + "/hook");
  const std::string hook = fmt::format("WARMSET_PYTHON_HOOK={}/hook PYTHONPATH=/before", folder_);
  const Outcome outcome = Run(
      "run -- sh -c 'echo \"$PYTHONPATH|$WARMSET_SOCKET|$1|$2\"; exit 7' name --json -- two", hook);
  EXPECT_EQ(outcome.exit_code, 7);
  EXPECT_EQ(outcome.out, fmt::format("{0}/hook:/before|{0}/socket|--json|--\n", folder_));
  EXPECT_THAT(outcome.err, IsEmpty());
}

TEST_F(CliTest, RunSaysWhenPythonDoesNotLookForTheHook) {
  fs::create_directory(folder_ + "/hook");
  const std::string python = folder_ + "/python3.11";
  fs::create_symlink("/bin/true", python);
  const std::string hook = fmt::format("WARMSET_PYTHON_HOOK={}/hook", folder_);
  for (const char* const options : {"-I x.py", "-uE x.py", "-X dev -S x.py", "-Wonce -IB -m x"}) {
    const Outcome outcome = Run(fmt::format("run -- {} {}", python, options), hook);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("does not look for Warmset's hook with -")) << options;
  }
  for (const char* const options : {"x.py -I", "-m x -I", "-c pass -I", "-X E x.py", "-u x.py"}) {
    EXPECT_THAT(Run(fmt::format("run -- {} {}", python, options), hook).err, IsEmpty()) << options;
  }
  EXPECT_THAT(Run("run -- true -I", hook).err, IsEmpty());
}

TEST_F(CliTest, RunOfAMissingProgramFailsAsAShellDoes) {
  fs::create_directory(folder_ + "/hook");
  const std::string hook = fmt::format("WARMSET_PYTHON_HOOK={}/hook", folder_);
  const Outcome missing = Run("run -- no-such-program", hook);
  EXPECT_EQ(missing.exit_code, 127);
  EXPECT_THAT(missing.err, StartsWith("warmset: file_not_found: "));
  EXPECT_EQ(Run("run -- /dev/null", hook).exit_code, 126);
}

TEST_F(CliTest, DoctorWorksWithoutADaemon) {
  const Outcome outcome = Run("doctor --json");
  const auto document = ParseJson(outcome.out);
  EXPECT_EQ(outcome.exit_code, document.fields().at("ok").bool_value() ? 0 : 1);
  std::map<std::string, std::string> health;
  for (const auto& item : document.fields().at("checks").list_value().values()) {
    const auto& fields = item.struct_value().fields();
    health[fields.at("name").string_value()] = fields.at("health").string_value();
    const bool ok = fields.at("health").string_value() == "ok";
    EXPECT_EQ(fields.at("mend").string_value().empty(), ok) << item.DebugString();
  }
  for (const char* const name :
       {"kernel", "huge pages", "isolation", "io_uring", "memory", "overcommit", "locked memory",
        "open files", "mappings", "inotify watches", "home", "catalog", "root", "programs",
        "socket", "python"}) {
    EXPECT_EQ(health.count(name), 1u) << name;
  }
  EXPECT_EQ(health.at("daemon"), "warn");
}

TEST_F(CliTest, DoctorReportsAConfigurationThatIsWrong) {
  std::ofstream(folder_ + "/w.toml") << "[memory]\nlimit = 3\n";
  const Outcome outcome = Run(fmt::format("doctor --config {}/w.toml", folder_));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("fail  config"));
  EXPECT_THAT(outcome.out, HasSubstr("w.toml:2:1"));
}

TEST_F(CliTest, DoctorSeesThatClientsWouldLookElsewhere) {
  std::ofstream(folder_ + "/w.toml") << "socket = '/elsewhere/socket'\n";
  const std::string flags = fmt::format("doctor --config {}/w.toml", folder_);
  EXPECT_THAT(
      RunCommand(fmt::format("env -u WARMSET_SOCKET {} {}", WARMSET_CLI_PROGRAM, flags)).out,
      HasSubstr("export WARMSET_SOCKET=/elsewhere/socket"));
  // The variable overrides the file, for both sides.
  EXPECT_THAT(Run(flags).out, Not(HasSubstr("/elsewhere")));
}

TEST(Checks, FailureDecides) {
  const Checks checks = {Ok("a", "fine"), Warn("bb", "slow", "do this"),
                         Fail("c", "no", "do that")};
  EXPECT_TRUE(AnyFailed(checks));
  EXPECT_EQ(RenderChecks(checks, {}),
            "ok    a   fine\n"
            "warn  bb  slow\n"
            "          → do this\n"
            "fail  c   no\n"
            "          → do that\n");
  EXPECT_FALSE(AnyFailed({Ok("a", ""), Warn("b", "", "")}));
}

}  // namespace
}  // namespace warmset::cli

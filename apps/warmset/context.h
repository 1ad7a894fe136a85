// What every command of the program shares.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/status.h"
#include "google/protobuf/message.h"
#include "table.h"
#include "warmset/v1/session.pb.h"
#include "wire/channel.h"

namespace warmset::cli {

inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

// The flags of all commands, and how to talk to the daemon and to the user.
// Filled while the command line is parsed; then action(*this) is the command,
// which returns the program's exit code.
class Context {
 public:
  bool json = false;
  std::string socket;  // empty: where it usually is
  std::function<StatusOr<int>(const Context&)> action;

  std::string SocketPath() const;
  // kDaemonUnavailable says how to start one.
  StatusOr<wire::Channel> Connect() const;
  // One request in a session of its own, with a progress bar on a terminal.
  StatusOr<v1::Response> Call(v1::Request request, std::vector<wire::SharedFd> fds = {}) const;

  // Prints the reply: as one JSON document, or as text() makes it. Returns 0.
  StatusOr<int> Show(const google::protobuf::Message& reply,
                     const std::function<std::string(const Screen&)>& text) const;

  // Reports a failure of the command: a line on stderr, and with --json also
  // the document {"error": …} on stdout. Returns the exit code.
  int Report(const Status& error) const;
};

// Adds a command with --json, and an example in its help.
CLI::App* AddCommand(CLI::App& app, Context& context, const std::string& name,
                     const std::string& help, const std::string& example);
// The same with --socket, for one that talks to the daemon.
CLI::App* AddClientCommand(CLI::App& app, Context& context, const std::string& name,
                           const std::string& help, const std::string& example);

// Makes the command do `run(context, *arguments)` when it was given.
template <typename Arguments>
void OnCommand(CLI::App* command, Context& context,
               StatusOr<int> (*run)(const Context&, const Arguments&),
               std::shared_ptr<Arguments> arguments) {
  command->callback([&context, run, arguments = std::move(arguments)] {
    context.action = [run, arguments](const Context& given) { return run(given, *arguments); };
  });
}
void OnCommand(CLI::App* command, Context& context, StatusOr<int> (*run)(const Context&));

// A line on stderr that is no failure.
void PrintNote(std::string_view note);
// The failure as a line on stderr.
void ReportError(const Status& error);
// What the daemon wants the user to know, although it worked.
void ReportWarning(const std::string& warning);

// What stdout is, for output that does not go through Context::Show.
Screen StdoutScreen();
void PrintOut(std::string_view text);

}  // namespace warmset::cli

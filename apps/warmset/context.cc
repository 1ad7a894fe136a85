#include "context.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/json_writer.h"
#include "fmt/format.h"
#include "os/terminal.h"
#include "progress_bar.h"
#include "wire/message_codec.h"
#include "wire/plain_json.h"
#include "wire/socket_path.h"

namespace warmset::cli {
namespace {

bool UseColours(int fd) {
  const char* const no_color = std::getenv("NO_COLOR");  // https://no-color.org
  const char* const terminal = std::getenv("TERM");
  return os::IsTerminal(fd) && (no_color == nullptr || *no_color == '\0') &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

}  // namespace

std::string Context::SocketPath() const { return socket.empty() ? wire::SocketPath() : socket; }

StatusOr<wire::Channel> Context::Connect() const {
  const std::string path = SocketPath();
  RETURN_IF_ERROR(wire::CheckSocketFolder(path));
  auto channel = wire::Channel::Connect(path, "warmset-cli " WARMSET_VERSION);
  if (!channel.ok() && CodeOf(channel.status()) == ErrorCode::kDaemonUnavailable) {
    return Error(ErrorCode::kDaemonUnavailable,
                 fmt::format("no daemon answers at {}; start one with `warmset serve`", path));
  }
  return channel;
}

StatusOr<v1::Response> Context::Call(v1::Request request, std::vector<wire::SharedFd> fds) const {
  ASSIGN_OR_RETURN(wire::Channel channel, Connect());
  ProgressBar bar;
  ASSIGN_OR_RETURN(wire::Answer answer,
                   channel.Call(std::move(request), std::move(fds),
                                [&bar](const v1::Progress& progress) { bar.Update(progress); }));
  for (const std::string& warning : answer.response.warnings()) ReportWarning(warning);
  return std::move(answer.response);
}

StatusOr<int> Context::Show(const google::protobuf::Message& reply,
                            const std::function<std::string(const Screen&)>& text) const {
  PrintOut(json ? wire::ToPlainJson(reply) : text(StdoutScreen()));
  return 0;
}

int Context::Report(const Status& error) const {
  if (json) PrintOut(wire::ErrorDocument(error));
  ReportError(error);
  return kExitFailure;
}

void PrintNote(std::string_view note) {
  std::fputs(fmt::format("warmset: {}\n", note).c_str(), stderr);
}

void ReportError(const Status& error) {
  const v1::Error message = wire::ToProto(error);
  const Style style(UseColours(STDERR_FILENO));
  std::string text = fmt::format("{} {}: {}\n", style.Red("warmset:"), Printable(message.code()),
                                 Printable(message.message()));
  for (const std::string& candidate : message.candidates()) {
    if (message.message().find(candidate) != std::string::npos) continue;
    text += fmt::format("  {}\n", Printable(candidate));
  }
  std::fputs(text.c_str(), stderr);
}

void ReportWarning(const std::string& warning) {
  const Style style(UseColours(STDERR_FILENO));
  fmt::print(stderr, "{} warning: {}\n", style.Yellow("warmset:"), Printable(warning));
}

CLI::App* AddCommand(CLI::App& app, Context& context, const std::string& name,
                     const std::string& help, const std::string& example) {
  CLI::App* const command = app.add_subcommand(name, help)->group("Commands");
  command->get_help_ptr()->description("print this help");
  command->footer("Example:\n  " + example);
  command->add_flag("--json", context.json, "print one JSON document instead");
  return command;
}

CLI::App* AddClientCommand(CLI::App& app, Context& context, const std::string& name,
                           const std::string& help, const std::string& example) {
  CLI::App* const command = AddCommand(app, context, name, help, example);
  command->add_option("--socket", context.socket, "the daemon's socket")->type_name("PATH");
  return command;
}

void OnCommand(CLI::App* command, Context& context, StatusOr<int> (*run)(const Context&)) {
  command->callback([&context, run] { context.action = run; });
}

Screen StdoutScreen() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return Screen{
      .style = Style(UseColours(STDOUT_FILENO)),
      .columns = os::TerminalColumns(STDOUT_FILENO),
      .now_unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
  };
}

void PrintOut(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace warmset::cli

#include "cache_daemon.h"

#include "fmt/format.h"
#include "samples.h"

namespace warmset::bench {
namespace {

Status Failed(const ClientError& error) { return Error(ErrorCode::kInternal, error.message); }

}  // namespace

StatusOr<std::unique_ptr<PrivateDaemon>> StartDaemon(const std::filesystem::path& root,
                                                     std::string_view ram_limit,
                                                     std::string_view strategy,
                                                     std::string_view reserve) {
  return PrivateDaemon::Start({"--root=" + root.string(), "--watch=off",
                               fmt::format("--ram-limit={}", ram_limit),
                               fmt::format("--reserve={}", reserve),
                               fmt::format("--strategy={}", strategy)});
}

StatusOr<Client> ConnectTo(PrivateDaemon& daemon) {
  auto client = Client::Connect({.socket_path = daemon.socket()});
  if (!client) return Failed(client.error());
  return std::move(*client);
}

StatusOr<double> Access(Client& client, const std::string& model) {
  const auto start = Clock::now();
  const auto attached = client.Attach(model);
  if (!attached) return Failed(attached.error());
  return SecondsSince(start);
}

}  // namespace warmset::bench

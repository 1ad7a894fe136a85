// A daemon with a cache, and a client that asks it for models.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "json.h"
#include "private_daemon.h"
#include "warmset/client.h"

namespace warmset::bench {

StatusOr<std::unique_ptr<PrivateDaemon>> StartDaemon(const std::filesystem::path& root,
                                                     std::string_view ram_limit,
                                                     std::string_view strategy,
                                                     std::string_view reserve);
StatusOr<Client> ConnectTo(PrivateDaemon& daemon);
// Seconds from the request to a model whose memory is mapped; then it is let go.
StatusOr<double> Access(Client& client, const std::string& model);

// Whether compressing slows the loads that it follows: models that nobody loaded yet, of
// a cold file, one alone and four in a row, with the strategies `speed` and `memory` in
// turn. Writes the models into the folder, which it makes.
StatusOr<Json> MeasureFirstLoads(const std::filesystem::path& folder, unsigned rounds);

}  // namespace warmset::bench

// cache: access to what is in RAM, and the strategies beside one another.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/strong.h"
#include "benchmarks.h"
#include "cache_daemon.h"
#include "fmt/format.h"
#include "json.h"
#include "model_file.h"
#include "private_daemon.h"
#include "samples.h"
#include "warmset/client.h"

namespace warmset::bench {
namespace {

constexpr std::array<std::string_view, 4> kStrategies = {"speed", "memory", "balanced", "adaptive"};
constexpr std::chrono::milliseconds kPoll{5};

std::string NameOf(unsigned i) { return fmt::format("model-{:02}.safetensors", i); }

StatusOr<v1::ModelState> StateOf(PrivateDaemon& daemon, const std::string& model) {
  v1::Request request;
  request.mutable_get_model_state()->add_names(model);
  ASSIGN_OR_RETURN(const v1::Response response, daemon.Call(std::move(request)));
  return response.states().results(0).state();
}

StatusOr<Samples> MeasureRaw(const std::filesystem::path& folder, unsigned rounds) {
  ASSIGN_OR_RETURN(auto daemon, StartDaemon(folder, "1GiB", "speed", "0"));
  ASSIGN_OR_RETURN(Client client, ConnectTo(*daemon));
  Samples samples;
  for (unsigned round = 0; round <= rounds; ++round) {
    ASSIGN_OR_RETURN(const double seconds, Access(client, "part.safetensors"));
    if (round > 0) samples.Add(seconds);
  }
  return samples;
}

// Each access finds the component compressed, and the reserve of touched memory full.
StatusOr<Samples> MeasureCompressed(const std::filesystem::path& folder, unsigned rounds) {
  ASSIGN_OR_RETURN(auto daemon, StartDaemon(folder, "1GiB", "memory", "256MiB"));
  ASSIGN_OR_RETURN(Client client, ConnectTo(*daemon));
  Samples samples;
  for (unsigned round = 0; round <= rounds; ++round) {
    ASSIGN_OR_RETURN(const double seconds, Access(client, "part.safetensors"));
    if (round > 0) samples.Add(seconds);
    while (true) {
      ASSIGN_OR_RETURN(const v1::ModelState state, StateOf(*daemon, "part.safetensors"));
      ASSIGN_OR_RETURN(const v1::DaemonStatus status, daemon->DaemonStatus());
      if (state.raw_bytes() == 0 && state.compressed_bytes() > 0 &&
          status.memory().reserve() >= 250 * kMiB) {
        break;
      }
      std::this_thread::sleep_for(kPoll);
    }
  }
  return samples;
}

// The models of a run of requests: the k-th most popular with probability ~ k^-skew.
std::vector<unsigned> ZipfRequests(const CacheOptions& options, double skew) {
  std::vector<double> weights;
  for (unsigned i = 1; i <= options.models; ++i) weights.push_back(std::pow(i, -skew));
  std::discrete_distribution<unsigned> choose(weights.begin(), weights.end());
  std::mt19937_64 random(7);
  std::vector<unsigned> requests(options.requests);
  for (unsigned& request : requests) request = choose(random);
  return requests;
}

struct ZipfFigures {
  Samples seconds;
  unsigned hits = 0;  // in RAM, in any form
};

StatusOr<ZipfFigures> RunRequests(const std::filesystem::path& folder, const CacheOptions& options,
                                  std::string_view strategy,
                                  const std::vector<unsigned>& requests) {
  ASSIGN_OR_RETURN(auto daemon, StartDaemon(folder, options.ram_limit, strategy, "1GiB"));
  ASSIGN_OR_RETURN(Client client, ConnectTo(*daemon));
  ZipfFigures figures;
  for (size_t i = 0; i < requests.size(); ++i) {
    const std::string name = NameOf(requests[i]);
    ASSIGN_OR_RETURN(const v1::ModelState state, StateOf(*daemon, name));
    ASSIGN_OR_RETURN(const double seconds, Access(client, name));
    if (i < requests.size() / 5) continue;
    figures.seconds.Add(seconds);
    figures.hits += state.cached_bytes() > 0 ? 1U : 0U;
  }
  return figures;
}

StatusOr<Json> MeasureStrategies(const std::filesystem::path& folder, const CacheOptions& options,
                                 double skew) {
  const std::vector<unsigned> requests = ZipfRequests(options, skew);
  Json json;
  for (const std::string_view strategy : kStrategies) {
    ASSIGN_OR_RETURN(const ZipfFigures figures, RunRequests(folder, options, strategy, requests));
    double total = 0;
    for (const double seconds : figures.seconds.values()) total += seconds;
    const auto count = static_cast<double>(figures.seconds.size());
    Json one;
    one.Add("hit_rate", figures.hits / count).Add("mean_ms", total / count * 1e3);
    json.Add(strategy, one.Add("access_ms", figures.seconds.Summary(1e3)));
  }
  return json;
}

}  // namespace

Status RunCache(const CacheOptions& options) {
  ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create(options.folder));
  const std::filesystem::path part = folder.path() / "part";
  std::filesystem::create_directory(part);
  RETURN_IF_ERROR(WriteTrainedModel(part / "part.safetensors", 64, /*seed=*/0));
  ASSIGN_OR_RETURN(const Samples raw, MeasureRaw(part, options.rounds * 20));
  ASSIGN_OR_RETURN(const Samples compressed, MeasureCompressed(part, options.rounds));

  ASSIGN_OR_RETURN(const Json first_loads,
                   MeasureFirstLoads(folder.path() / "first", std::max(options.rounds / 5, 1U)));

  const std::filesystem::path models = folder.path() / "models";
  std::filesystem::create_directory(models);
  for (unsigned i = 0; i < options.models; ++i) {
    RETURN_IF_ERROR(WriteTrainedModel(models / NameOf(i), options.mib, i + 1));
  }
  Json json;
  json.Add("benchmark", "cache").Add("models", options.models).Add("mib", options.mib);
  json.Add("ram_limit", options.ram_limit).Add("requests", options.requests);
  json.Add("raw_access_us", raw.Summary(1e6));
  json.Add("compressed_64_mib_access_ms", compressed.Summary(1e3));
  json.Add("first_loads", first_loads);
  for (const double skew : options.skews) {
    ASSIGN_OR_RETURN(const Json strategies, MeasureStrategies(models, options, skew));
    json.Add(fmt::format("zipf_{:.1f}", skew), strategies);
  }
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench

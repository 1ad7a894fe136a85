// rpc: round trips of requests for the state of models.
#include <filesystem>
#include <string>
#include <vector>

#include "benchmarks.h"
#include "fmt/format.h"
#include "json.h"
#include "model_file.h"
#include "private_daemon.h"
#include "samples.h"

namespace warmset::bench {
namespace {

constexpr unsigned kModels = 100;

std::string NameOf(unsigned i) { return fmt::format("model-{:03}.safetensors", i); }

v1::Request StateRequest(unsigned first, unsigned count) {
  v1::Request request;
  for (unsigned i = first; i < first + count; ++i) {
    request.mutable_get_model_state()->add_names(NameOf(i));
  }
  return request;
}

}  // namespace

Status RunRpc(const RpcOptions& options) {
  ASSIGN_OR_RETURN(const TemporaryFolder folder, TemporaryFolder::Create("/tmp"));
  for (unsigned i = 0; i < kModels; ++i) {
    RETURN_IF_ERROR(WriteModel(folder.path() / NameOf(i), 8, 4096, /*seed=*/i));
  }
  ASSIGN_OR_RETURN(auto daemon,
                   PrivateDaemon::Start({"--root=" + folder.path().string(), "--watch=off",
                                         "--ram-limit=256MiB", "--reserve=0"}));
  v1::Request cache;
  cache.mutable_cache()->set_model(NameOf(0));
  ASSIGN_OR_RETURN(const v1::Response cached, daemon->Call(std::move(cache)));

  Samples single, hundred_singles, one_of_hundred;
  size_t state_bytes = 0;
  for (unsigned round = 0; round < options.rounds; ++round) {
    const auto start = Clock::now();
    ASSIGN_OR_RETURN(const v1::Response response, daemon->Call(StateRequest(0, 1)));
    single.Add(SecondsSince(start));
    state_bytes = response.states().results(0).state().ByteSizeLong();
  }
  for (unsigned round = 0; round < options.rounds / kModels; ++round) {
    auto start = Clock::now();
    for (unsigned i = 0; i < kModels; ++i) {
      ASSIGN_OR_RETURN(const v1::Response response, daemon->Call(StateRequest(i, 1)));
    }
    hundred_singles.Add(SecondsSince(start));
    start = Clock::now();
    ASSIGN_OR_RETURN(const v1::Response response, daemon->Call(StateRequest(0, kModels)));
    one_of_hundred.Add(SecondsSince(start));
  }
  constexpr double kMilliseconds = 1e3;
  Json json;
  json.Add("benchmark", "rpc").Add("rounds", options.rounds).Add("state_bytes", state_bytes);
  json.Add("state_ms", single.Summary(kMilliseconds));
  json.Add("hundred_calls_ms", hundred_singles.Summary(kMilliseconds));
  json.Add("one_call_of_hundred_ms", one_of_hundred.Summary(kMilliseconds));
  json.Add("one_call_share", one_of_hundred.Median() / hundred_singles.Median());
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench

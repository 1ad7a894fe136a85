#include <array>
#include <string>

#include "base/units.h"
#include "cache_daemon.h"
#include "fmt/format.h"
#include "model_file.h"
#include "samples.h"

namespace warmset::bench {
namespace {

constexpr uint64_t kMib = 256;
constexpr unsigned kModels = 4;
constexpr std::array<std::string_view, 2> kCompared = {"speed", "memory"};

std::string NameOf(unsigned i) { return fmt::format("first-{}.safetensors", i); }

struct FirstLoads {
  Samples one;   // seconds
  Samples four;  // in a row
};

Status MeasureOnce(const std::filesystem::path& folder, std::string_view strategy,
                   FirstLoads& loads) {
  ASSIGN_OR_RETURN(auto daemon, StartDaemon(folder, "4GiB", strategy, "256MiB"));
  ASSIGN_OR_RETURN(Client client, ConnectTo(*daemon));
  RETURN_IF_ERROR(daemon->WaitFor([](const v1::DaemonStatus& status) {
    return status.memory().reserve() >= 250 * kMiB;
  }));
  for (unsigned i = 0; i < kModels; ++i) RETURN_IF_ERROR(DropFromPageCache(folder / NameOf(i)));
  double total = 0;
  for (unsigned i = 0; i < kModels; ++i) {
    ASSIGN_OR_RETURN(const double seconds, Access(client, NameOf(i)));
    if (i == 0) loads.one.Add(seconds);
    total += seconds;
  }
  loads.four.Add(total);
  return OkStatus();
}

}  // namespace

StatusOr<Json> MeasureFirstLoads(const std::filesystem::path& folder, unsigned rounds) {
  std::filesystem::create_directory(folder);
  for (unsigned i = 0; i < kModels; ++i) {
    RETURN_IF_ERROR(WriteTrainedModel(folder / NameOf(i), kMib, i));
  }
  std::array<FirstLoads, kCompared.size()> loads;
  for (unsigned round = 0; round < rounds; ++round) {
    for (size_t turn = 0; turn < kCompared.size(); ++turn) {
      const size_t which = (round + turn) % kCompared.size();
      RETURN_IF_ERROR(MeasureOnce(folder, kCompared[which], loads[which]));
    }
  }
  Json json;
  json.Add("mib", kMib).Add("models", kModels);
  for (size_t i = 0; i < kCompared.size(); ++i) {
    Json one;
    one.Add("one_ms", loads[i].one.Summary(1e3)).Add("four_ms", loads[i].four.Summary(1e3));
    json.Add(kCompared[i], one);
  }
  json.Add("one_memory_to_speed", loads[1].one.Median() / loads[0].one.Median());
  return json.Add("four_memory_to_speed", loads[1].four.Median() / loads[0].four.Median());
}

}  // namespace warmset::bench

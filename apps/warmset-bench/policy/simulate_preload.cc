#include "policy/simulate_preload.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/eviction/score_policies.h"
#include "cache/preload/companion_predictor.h"
#include "cache/preload/use_predictor.h"

namespace warmset::bench {
namespace {

constexpr double kLeastProbability = 0.75;

struct Tally {
  uint64_t predicted = 0;
  uint64_t right = 0;   // of predicted
  uint64_t wanted = 0;  // what could have been predicted
  uint64_t served = 0;  // uses of what was predicted
  uint64_t uses = 0;

  PreloadQuality Quality() const {
    const auto share = [](uint64_t part, uint64_t all) {
      return all == 0 ? 0 : static_cast<double>(part) / static_cast<double>(all);
    };
    return {predicted, share(right, predicted), share(right, wanted), share(served, uses)};
  }
};

size_t CountedFrom(const Trace& trace, double warmup) {
  return static_cast<size_t>(warmup * static_cast<double>(trace.requests.size()));
}

// One user's predictions that may still come true, and what he used of late.
struct UserWindow {
  std::map<ModelId, double> predicted;  // until that second
  std::map<ModelId, double> used;       // at that second
};

}  // namespace

PreloadQuality SimulateCompanions(const Trace& trace, double warmup) {
  std::vector<ModelId> ids;
  for (const TraceObject& object : trace.objects) {
    ids.push_back(DigestOf<ModelId>(AsBytes(object.name)));
  }
  constexpr double kWindow = CompanionPredictor::kWindowSeconds;
  CompanionPredictor predictor;
  std::unordered_map<std::string, UserWindow> users;
  Tally tally;
  for (size_t number = 0; number < trace.requests.size(); ++number) {
    const Trace::Request& request = trace.requests[number];
    UserWindow& user = users[request.user];
    const double now = request.time_s;
    std::erase_if(user.used, [&](const auto& use) { return use.second + kWindow < now; });
    std::erase_if(user.predicted, [&](const auto& item) { return item.second < now; });
    const bool counts = number >= CountedFrom(trace, warmup);
    for (const uint32_t place : request.objects) {
      const ModelId& id = ids[place];
      const bool follows = user.used.size() > user.used.count(id);
      const bool was_predicted = user.predicted.erase(id) > 0;
      if (counts) {
        tally.uses += 1;
        tally.wanted += follows ? 1 : 0;
        tally.right += was_predicted ? 1 : 0;
        tally.served += was_predicted ? 1 : 0;
      }
      for (const auto& companion : predictor.CompanionsOf(request.user, id, kLeastProbability)) {
        const bool open = !user.predicted.emplace(companion.model, now + kWindow).second;
        if (counts && !open) tally.predicted += 1;
      }
      predictor.Count(request.user, id, now);
      user.used[id] = now;
    }
  }
  return tally.Quality();
}

PreloadQuality SimulatePopular(const Trace& trace, uint64_t capacity_bytes, double warmup) {
  std::vector<CachedObject> objects;
  for (const TraceObject& object : trace.objects) {
    objects.push_back({.id = DigestOf<ComponentId>(AsBytes(object.name)),
                       .bytes = object.bytes,
                       .load_seconds = object.load_seconds});
  }
  UseLedger ledger;
  UsePredictor predictor;
  Tally tally;
  std::set<ComponentId> loaded;
  std::set<ComponentId> used;  // since then
  uint64_t loaded_at = 0;      // request; 0: not yet
  const auto settle = [&] {
    for (const ComponentId& id : used) tally.right += loaded.count(id);
    tally.predicted += loaded.size();
    tally.wanted += used.size();
    loaded.clear();
    used.clear();
  };
  const auto fill = [&] {
    std::vector<std::pair<double, CachedObject>> likely;
    for (const auto& [id, line] : ledger.lines()) {
      const double probability = predictor.Probability(line.history, ledger.now());
      if (probability < kLeastProbability) continue;
      likely.emplace_back(probability * CostPerByte(line.object), line.object);
    }
    std::sort(likely.begin(), likely.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second.id < b.second.id;
    });
    uint64_t bytes = 0;
    for (const auto& [worth, object] : likely) {
      if (bytes + object.bytes > capacity_bytes) continue;
      bytes += object.bytes;
      loaded.insert(object.id);
    }
    loaded_at = ledger.now();
  };
  for (size_t number = 0; number < trace.requests.size(); ++number) {
    for (const uint32_t place : trace.requests[number].objects) {
      if (number >= CountedFrom(trace, warmup)) {
        if (loaded_at == 0 || ledger.now() >= loaded_at + UsePredictor::kHorizon) {
          if (loaded_at > 0) settle();
          fill();
        }
        tally.uses += 1;
        tally.served += loaded.count(objects[place].id);
        used.insert(objects[place].id);
      }
      ledger.Count(objects[place]);
      predictor.Observe(ledger);
    }
  }
  settle();
  return tally.Quality();
}

}  // namespace warmset::bench

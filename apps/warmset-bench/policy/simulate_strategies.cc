#include "policy/simulate_strategies.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "cache/eviction/score_policies.h"
#include "cache/form_ghost.h"
#include "cache/strategy_ghosts.h"

namespace warmset::bench {
namespace {

FormCosts CostsOf(const TraceObject& object, const AssumedCodec& codec) {
  const auto bytes = static_cast<double>(object.bytes);
  return {.raw_bytes = object.bytes,
          .compressed_bytes = static_cast<uint64_t>(bytes / codec.ratio),
          .load_seconds = object.load_seconds,
          .decode_seconds = bytes / (codec.decode_gb_s * 1e9),
          .encode_seconds = bytes / (codec.encode_gb_s * 1e9)};
}

}  // namespace

StrategySavings SimulateStrategies(const Trace& trace, uint64_t capacity_bytes, double warmup,
                                   const AssumedCodec& codec) {
  ShadowCache raw(std::make_unique<Ew3Policy>(), capacity_bytes);
  ShadowCache compressed(std::make_unique<Ew3Policy>(), capacity_bytes);
  FormGhost mixed(capacity_bytes);
  StrategyGhosts ghosts(capacity_bytes);
  std::vector<ComponentId> ids;
  for (const TraceObject& object : trace.objects) {
    ids.push_back(DigestOf<ComponentId>(AsBytes(object.name)));
  }

  StrategySavings saved;
  double total = 0;
  const auto counted_from =
      static_cast<size_t>(warmup * static_cast<double>(trace.requests.size()));
  for (size_t i = 0; i < trace.requests.size(); ++i) {
    for (const uint32_t object : trace.requests[i].objects) {
      const FormCosts costs = CostsOf(trace.objects[object], codec);
      const bool mixes = ghosts.CompressingPays();
      ghosts.Request(ids[object], costs);
      const double by_raw =
          raw.Request({ids[object], costs.raw_bytes, costs.load_seconds}) ? costs.load_seconds : 0;
      const double by_compressed =
          compressed.Request({ids[object], costs.compressed_bytes, costs.load_seconds})
              ? std::max(0.0, costs.load_seconds - costs.decode_seconds)
              : -costs.encode_seconds;
      const double by_mixed = mixed.Request(ids[object], costs);
      if (i < counted_from) continue;
      total += costs.load_seconds;
      saved.raw += by_raw;
      saved.compressed += by_compressed;
      saved.mixed += by_mixed;
      saved.adaptive += mixes ? by_mixed : by_raw;
    }
  }
  if (total == 0) return {};
  return {saved.raw / total, saved.compressed / total, saved.mixed / total,
          saved.adaptive / total};
}

}  // namespace warmset::bench

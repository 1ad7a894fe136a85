#include "policy_bench.h"

#include <array>
#include <cmath>

#include "base/units.h"
#include "cache/eviction/eviction_policy.h"
#include "fmt/format.h"
#include "json.h"
#include "policy/simulate.h"
#include "policy/simulate_preload.h"
#include "policy/simulate_strategies.h"

namespace warmset::bench {
namespace {

StatusOr<TraceKind> KindNamed(const std::string& name) {
  constexpr std::array kKinds = {
      std::pair{"real-like", TraceKind::kRealLike}, std::pair{"swap", TraceKind::kSwap},
      std::pair{"scan", TraceKind::kScan}, std::pair{"loop", TraceKind::kLoop}};
  for (const auto& [known, kind] : kKinds) {
    if (name == known) return kind;
  }
  return Error(ErrorCode::kInvalidRequest,
               fmt::format("'{}' is none of real-like, swap, scan, loop", name));
}

StatusOr<Trace> MakeTrace(const PolicyOptions& options) {
  if (!options.trace.empty()) return ReadTrace(options.trace, options.sizes);
  ASSIGN_OR_RETURN(const TraceKind kind, KindNamed(options.generate));
  return GenerateTrace({.kind = kind, .seed = options.seed});
}

double PercentOf(double share) { return std::round(share * 10'000) / 100; }

Json Percent(const Savings& savings) {
  Json json;
  json.Add("object_hit_percent", PercentOf(savings.object_hits));
  json.Add("byte_hit_percent", PercentOf(savings.byte_hits));
  return json.Add("cost_saved_percent", PercentOf(savings.cost_saved));
}

Json Percent(const PreloadQuality& quality) {
  Json json;
  json.Add("predicted", quality.predicted);
  json.Add("precision_percent", PercentOf(quality.precision));
  json.Add("recall_percent", PercentOf(quality.recall));
  return json.Add("coverage_percent", PercentOf(quality.coverage));
}

Json Percent(const StrategySavings& savings) {
  Json json;
  json.Add("raw", PercentOf(savings.raw)).Add("compressed", PercentOf(savings.compressed));
  return json.Add("mixed", PercentOf(savings.mixed)).Add("adaptive", PercentOf(savings.adaptive));
}

Json Describe(const AssumedCodec& codec) {
  Json json;
  json.Add("ratio", codec.ratio).Add("decode_gb_s", codec.decode_gb_s);
  return json.Add("encode_gb_s", codec.encode_gb_s);
}

}  // namespace

Status RunPolicy(const PolicyOptions& options) {
  if (!(options.warmup >= 0 && options.warmup < 1)) {
    return Error(ErrorCode::kInvalidRequest, "the warm-up is a share from 0 to below 1");
  }
  const AssumedCodec& codec = options.codec;
  if (!(codec.ratio >= 1 && codec.decode_gb_s > 0 &&
        codec.encode_gb_s > 0)) {
    return Error(ErrorCode::kInvalidRequest,
                 "a codec has a ratio of 1 or more, and decodes and encodes at some speed");
  }
  ASSIGN_OR_RETURN(const Trace trace, MakeTrace(options));
  Json capacities;
  for (const std::string& text : options.capacities) {
    ASSIGN_OR_RETURN(const ByteCount capacity, ParseSize(text, ByteCount()));
    Json policies;
    for (const std::string_view name : EvictionPolicyNames()) {
      ASSIGN_OR_RETURN(const auto policy, MakeEvictionPolicy(name, capacity.value()));
      policies.Add(name, Percent(Simulate(trace, capacity.value(), options.warmup, *policy)));
    }
    policies.Add("belady-size",
                 Percent(SimulateBelady(trace, capacity.value(), options.warmup)));
    policies.Add("preload-popular",
                 Percent(SimulatePopular(trace, capacity.value(), options.warmup)));
    policies.Add("strategies-cost-saved-percent",
                 Percent(SimulateStrategies(trace, capacity.value(), options.warmup,
                                            codec)));
    capacities.Add(text, policies);
  }
  Json json;
  json.Add("benchmark", "policy");
  json.Add("trace", options.trace.empty() ? "generated: " + options.generate : options.trace);
  json.Add("sizes", options.sizes.empty() ? "assumed" : options.sizes);
  json.Add("requests", trace.requests.size()).Add("objects", trace.objects.size());
  json.Add("codec_assumed", Describe(codec));
  json.Add("warmup", options.warmup).Add("capacities", capacities);
  json.Add("preload-companions", Percent(SimulateCompanions(trace, options.warmup)));
  fmt::print("{}\n", json.Text());
  return OkStatus();
}

}  // namespace warmset::bench

// In which form each component's bytes would save the most load time.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "cache/eviction/use_history.h"

namespace warmset {

// What a component takes and costs, as measured or estimated.
struct FormCosts {
  uint64_t raw_bytes = 0;
  uint64_t compressed_bytes = 0;
  double load_seconds = 0;    // from disk
  double decode_seconds = 0;  // from its compressed form
  double encode_seconds = 0;  // that other work goes without
};

// A cache without bytes that keeps each component raw, compressed, or not at all.
//
// Room is a knapsack. When it is short, the step that costs least by the byte is taken,
// again and again: a raw component is compressed or dropped, or a compressed one dropped
// (Dantzig's greedy solution of the relaxed multiple-choice knapsack). What a step costs
// at each request is the rate of the component's requests times the seconds that each of
// them then takes longer. What compressing takes is spread over the time that a
// component usually stays compressed here. What can't be there in both forms at once is
// never compressed. Not thread-safe.
class FormGhost {
 public:
  enum class Form : uint8_t { kAbsent, kCompressed, kRaw };

  explicit FormGhost(uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  // A request for the component; as_raw: by somebody who gets it raw, not decoded
  // elsewhere. Returns the seconds that this cache has saved by it, less what compressing
  // takes that the request gives rise to.
  double Request(const ComponentId& id, const FormCosts& costs, bool as_raw = true);
  // What was known of the component in an earlier life: before its first Request().
  void Recall(const ComponentId& id, const UseHistory& history);

  Form FormOf(const ComponentId& id) const;
  // It was asked for, and others took its room.
  bool HasDropped(const ComponentId& id) const;
  // Those whose form the last request changed.
  const std::vector<ComponentId>& changed() const { return changed_; }
  // All that were ever asked for.
  std::vector<ComponentId> Components() const;

 private:
  struct Known {
    FormCosts costs;
    UseHistory history;
    Form form = Form::kAbsent;

    uint64_t bytes() const;
  };
  using Named = std::pair<const ComponentId, Known>;
  struct Step {
    Named* component = nullptr;
    Form to = Form::kAbsent;
    double cost_per_byte = 0;  // seconds, at each request
  };

  // The cheapest step of a component that is there. encoding: what it adds to the cost
  // of each request that something is encoded, for each second of that.
  Step StepOf(Named& named, double encoding) const;
  // Takes steps until the rest fits; returns the seconds of encoding that they take.
  double MakeFit(Named& asked);
  void SetForm(Known& known, Form form);
  // For how many requests a component stays compressed once it was encoded.
  double CompressedLife() const;

  const uint64_t capacity_bytes_;
  uint64_t used_bytes_ = 0;
  uint64_t compressed_ = 0;  // components
  uint64_t now_ = 0;         // requests so far
  // Components that are compressed, summed over requests, and those that were encoded;
  // both decayed.
  double compressed_sum_ = 0;
  double encoded_sum_ = 0;
  // What the present request is for, where its compressed bytes are still there.
  const Known* still_compressed_ = nullptr;
  std::unordered_map<ComponentId, Known> known_;
  std::vector<ComponentId> changed_;
};

}  // namespace warmset

// How likely it is that a component is asked for soon.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "cache/use_ledger.h"

namespace warmset {

// The chance of a use within the next kHorizon requests, calibrated: components are
// put into bins by the uses that their rates let expect, and a bin's chance is how
// often its predictions came true. Nothing is said until enough of them were
// checked. Not thread-safe.
class UsePredictor {
 public:
  static constexpr uint64_t kHorizon = 500;
  // Expected uses within the horizon: below 1/8, then in powers of two, to 64 and above.
  static constexpr size_t kBins = 11;

  // Call after each request that the ledger counted: every kHorizon requests it
  // checks what it predicted and predicts anew.
  void Observe(const UseLedger& ledger);

  // 0 to 1; 0 while too little is known.
  double Probability(const UseHistory& history, uint64_t now) const;

  struct Bin {
    double predicted = 0;  // components that were in it, old ones faded
    double used = 0;       // of them, within the horizon
  };
  // For the catalog.
  const std::array<Bin, kBins>& bins() const { return bins_; }
  void Recall(size_t bin, const Bin& checked) { bins_.at(bin) = checked; }

 private:
  static size_t BinOf(const UseHistory& history, uint64_t now);

  std::array<Bin, kBins> bins_{};
  uint64_t predicted_at_ = 0;  // request
  std::vector<std::pair<ComponentId, size_t>> predictions_;  // the bin of each component
};

}  // namespace warmset

// What bringing components into RAM took, and what it will take.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/digest.h"
#include "catalog/catalog.h"

namespace warmset {

// Estimates by size stand in for what was not measured yet. Not thread-safe.
class ComponentCosts {
 public:
  ComponentCosts() = default;
  // With the loads that the catalog knows of.
  explicit ComponentCosts(const std::unordered_map<ComponentId, Usage>& usage);

  // What decoding is taken to be until some was measured.
  void SetDecodeSpeed(double bytes_per_second) { assumed_decode_speed_ = bytes_per_second; }
  void SetLoad(const ComponentId& component, double seconds) { loads_[component] = seconds; }
  void Forget(const ComponentId& component) {
    loads_.erase(component);
    decodings_.erase(component);
  }
  void AddDecoding(const ComponentId& component, uint64_t bytes, double seconds);

  // Reading the component's bytes from disk, as it was the last time.
  double LoadSeconds(const ComponentId& component, uint64_t bytes) const;
  // Decoding all of it: as this component lately, or as others, by size.
  double DecodeSeconds(const ComponentId& component, uint64_t bytes) const;

 private:
  std::unordered_map<ComponentId, double> loads_;
  std::unordered_map<ComponentId, double> decodings_;  // seconds, smoothed
  double assumed_decode_speed_ = 5e9;                  // bytes per second
  double decoded_bytes_ = 0;                           // of all
  double decode_seconds_ = 0;
};

}  // namespace warmset

#include "daemon/component_costs.h"

namespace warmset {

ComponentCosts::ComponentCosts(const std::unordered_map<ComponentId, Usage>& usage) {
  for (const auto& [component, use] : usage) {
    if (use.load_seconds > 0) SetLoad(component, use.load_seconds);
  }
}

void ComponentCosts::AddDecoding(const ComponentId& component, uint64_t bytes, double seconds) {
  constexpr double kNewest = 0.5;
  decoded_bytes_ += static_cast<double>(bytes);
  decode_seconds_ += seconds;
  const auto [known, first] = decodings_.try_emplace(component, seconds);
  if (!first) known->second += kNewest * (seconds - known->second);
}

double ComponentCosts::LoadSeconds(const ComponentId& component, uint64_t bytes) const {
  constexpr double kAssumedBytesPerSecond = 2e9;
  const auto measured = loads_.find(component);
  return measured == loads_.end() ? static_cast<double>(bytes) / kAssumedBytesPerSecond
                                  : measured->second;
}

double ComponentCosts::DecodeSeconds(const ComponentId& component, uint64_t bytes) const {
  const auto measured = decodings_.find(component);
  if (measured != decodings_.end()) return measured->second;
  const double rate =
      decoded_bytes_ > 0 && decode_seconds_ > 0 ? decoded_bytes_ / decode_seconds_
                                               : assumed_decode_speed_;
  return static_cast<double>(bytes) / rate;
}

}  // namespace warmset

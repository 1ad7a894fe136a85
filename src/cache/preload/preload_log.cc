#include "cache/preload/preload_log.h"

namespace warmset {

void PreloadLog::Issued(const ComponentId& component, PreloadReason reason) {
  ++CountsOf(reason).issued;
  waiting_[component] = reason;
  loading_[component] = reason;
}

void PreloadLog::Ended(const ComponentId& component, bool loaded) {
  const auto node = loading_.extract(component);
  if (node.empty()) return;
  Counts& counts = CountsOf(node.mapped());
  ++(loaded ? counts.loaded : counts.failed);
  if (!loaded) waiting_.erase(component);
}

void PreloadLog::Withdrawn(const ComponentId& component) {
  const auto node = loading_.extract(component);
  if (node.empty()) return;
  --CountsOf(node.mapped()).issued;
  waiting_.erase(component);
}

void PreloadLog::Used(const ComponentId& component, bool in_ram) {
  const auto node = waiting_.extract(component);
  if (!node.empty()) {
    ++CountsOf(node.mapped()).used;
  } else if (!in_ram) {
    ++loaded_on_demand_;
  }
}

void PreloadLog::Left(const ComponentId& component) {
  const auto node = waiting_.extract(component);
  if (!node.empty()) ++CountsOf(node.mapped()).unused;
}

PreloadLog::Shares PreloadLog::Summarize() const {
  Counts all;
  for (const Counts& counts : counts_) {
    all.loaded += counts.loaded;
    all.failed += counts.failed;
    all.used += counts.used;
    all.unused += counts.unused;
  }
  const auto share = [](uint64_t part, uint64_t rest) {
    return part == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(part + rest);
  };
  return {.success = share(all.loaded, all.failed),
          .hits = share(all.used, all.unused),
          .coverage = share(all.used, loaded_on_demand_)};
}

}  // namespace warmset

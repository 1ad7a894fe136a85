#include "cache/preload/preload_log.h"

namespace warmset {

void PreloadLog::Issued(const ComponentId& component, PreloadReason reason) {
  ++CountsOf(reason).issued;
  preloads_[component] = {.reason = reason};
}

void PreloadLog::Ended(const ComponentId& component, bool loaded) {
  const auto found = preloads_.find(component);
  if (found == preloads_.end() || !found->second.loading) return;
  Preload& preload = found->second;
  Counts& counts = CountsOf(preload.reason);
  ++(loaded ? counts.loaded : counts.failed);
  if (loaded && preload.joined) ++counts.used;
  preload.loading = false;
  if (!loaded || preload.joined) preloads_.erase(found);
}

void PreloadLog::Withdrawn(const ComponentId& component) {
  const auto found = preloads_.find(component);
  if (found == preloads_.end() || !found->second.loading) return;
  --CountsOf(found->second.reason).issued;
  preloads_.erase(found);
}

void PreloadLog::Used(const ComponentId& component, bool in_ram) {
  const auto found = preloads_.find(component);
  if (found == preloads_.end()) {
    if (!in_ram) ++loaded_on_demand_;
  } else if (found->second.loading) {
    found->second.joined = true;
  } else {
    ++CountsOf(found->second.reason).used;
    preloads_.erase(found);
  }
}

void PreloadLog::Left(const ComponentId& component) {
  const auto found = preloads_.find(component);
  if (found == preloads_.end() || found->second.loading) return;
  ++CountsOf(found->second.reason).unused;
  preloads_.erase(found);
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

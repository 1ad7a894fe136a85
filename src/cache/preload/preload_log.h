// What became of what was loaded before anybody asked for it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "base/digest.h"

namespace warmset {

enum class PreloadReason : uint8_t {
  kCompanion,  // usually used with a model that was asked for
  kPopular,    // likely to be asked for, and memory was free
  kHint,       // a client said so
  kSchedule,   // the configuration says so
  kRestart,    // it was in RAM before the daemon ended
  kPipeline,   // another file of the same model was asked for
};
inline constexpr std::array<std::string_view, 6> kPreloadReasonNames = {
    "companion", "popular", "hint", "schedule", "restart", "pipeline"};

// Somebody asked for it, so that it counts as a use and may take the place of others.
constexpr bool IsAskedFor(PreloadReason reason) {
  return reason == PreloadReason::kHint || reason == PreloadReason::kSchedule;
}

// Of components. Not thread-safe.
class PreloadLog {
 public:
  // Preloads: each is issued, and later ended or withdrawn.
  void Issued(const ComponentId& component, PreloadReason reason);
  void Ended(const ComponentId& component, bool loaded);
  // Nothing was loaded, since there was no room.
  void Withdrawn(const ComponentId& component);

  // A request that somebody waits for; in_ram: it was there, or on its way.
  void Used(const ComponentId& component, bool in_ram);
  // It left RAM.
  void Left(const ComponentId& component);

  // It was preloaded, and nobody has asked for it yet.
  bool IsUnused(const ComponentId& component) const {
    const auto found = preloads_.find(component);
    return found != preloads_.end() && !found->second.joined;
  }

  struct Counts {
    uint64_t issued = 0;
    uint64_t loaded = 0;  // of issued, the others failed or are on their way
    uint64_t failed = 0;
    uint64_t used = 0;    // of issued, before they left RAM
    uint64_t unused = 0;  // of loaded, left RAM without a use
  };
  const Counts& of(PreloadReason reason) const { return counts_[static_cast<size_t>(reason)]; }

  struct Shares {
    double success = 0;   // of those that ended: loaded
    double hits = 0;      // of those whose lot is known: used before they left RAM
    double coverage = 0;  // of uses that would have waited for a load: served by a preload
  };
  // Over all reasons; zero where nothing is known.
  Shares Summarize() const;

 private:
  Counts& CountsOf(PreloadReason reason) { return counts_[static_cast<size_t>(reason)]; }

  std::array<Counts, kPreloadReasonNames.size()> counts_{};
  uint64_t loaded_on_demand_ = 0;
  struct Preload {
    PreloadReason reason;
    bool loading = true;
    bool joined = false;  // somebody waits for it
  };
  std::unordered_map<ComponentId, Preload> preloads_;  // on their way, or not used yet
};

}  // namespace warmset

// Loads models before somebody asks for them: docs/design/preload.md.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "cache/preload/companion_predictor.h"
#include "cache/preload/preload_log.h"
#include "daemon/component_cache.h"
#include "daemon/model_registry.h"
#include "daemon/model_use.h"
#include "daemon/preload_schedule.h"
#include "os/event_loop.h"

namespace warmset {

// One model at a time, behind what somebody waits for. Only what was asked for may
// take the place of others; the rest goes into free memory. Loop thread only.
class Preloader {
 public:
  struct Options {
    bool companions = true;
    bool popular = true;
    std::vector<ScheduledPreload> schedule;
  };

  Preloader(os::EventLoop& loop, ModelRegistry& registry, ComponentCache& cache, ModelUse& uses,
            Options options);

  // Begins to look at the clock and at free memory.
  void Start();

  // A user waits for the model, which has been asked for: the rest of a model that is
  // read file by file, and its usual companions, are loaded meanwhile, if they fit.
  void Demanded(const ModelUse::Request& request);
  // The user took it out of RAM: until somebody asks for it, it stays out.
  void Unwanted(const ModelId& model, const ComponentId& component);
  // Loads it as soon as nothing else is preloaded. No components: those that were
  // used last, else all.
  void Preload(const ModelId& model, std::vector<std::string> components, PreloadReason reason);

  // All that Preload() would load is in RAM, in some form.
  bool IsInRam(const ModelSummary& model, const std::vector<std::string>& components) const;

  // Models that wait or are being preloaded.
  size_t waiting() const { return queue_.size() + (running_ ? 1 : 0); }
  CompanionPredictor& companions() { return companions_; }

 private:
  struct Item {
    ModelId model;
    std::vector<std::string> components;
    PreloadReason reason;
  };

  // The components that Preload() would load with these names.
  std::vector<const ComponentSummary*> Wanted(const ModelSummary& model,
                                              const std::vector<std::string>& names) const;
  // What a program that has passed one file of a pipeline asks for next: what is not in
  // RAM of the components that were used with it last; else of its variant.
  std::vector<std::string> RestOf(const Model& model, const ModelUse::Request& request) const;
  // Nobody has taken any of them out of RAM, and what of them is not there fits.
  bool MayBeCompanion(const Model& model) const;
  void Next();
  void Failed(const Item& item, const Status& why);
  void CheckSchedule();
  void CheckFreeMemory();
  // What is likely enough to be used, not in RAM and fits: the most worth of it.
  void PreloadPopular();

  os::EventLoop& loop_;
  ModelRegistry& registry_;
  ComponentCache& cache_;
  ModelUse& uses_;
  const Options options_;
  CompanionPredictor companions_;
  struct UsedParts {
    std::set<std::string> names;  // empty: all
    double seconds = -1e9;        // of the last demand
  };
  std::map<ModelId, UsedParts> used_parts_;
  std::deque<Item> queue_;
  bool running_ = false;
  int64_t checked_minute_ = 0;  // of Unix time
};

}  // namespace warmset

// What a restarted daemon brings back.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "catalog/catalog.h"
#include "daemon/component_cache.h"
#include "daemon/device_service.h"
#include "daemon/model_registry.h"
#include "daemon/model_use.h"

namespace warmset {

// Keeps the catalog's desired rows equal to what is in RAM and on devices, and
// after a start works through the rows of the daemon before. What could not be
// brought back yet stays desired. Loop thread only.
class DesiredState {
 public:
  DesiredState(Catalog& catalog, ModelRegistry& registry, ComponentCache& cache, ModelUse& uses)
      : catalog_(catalog), registry_(registry), cache_(cache), uses_(uses) {}

  // An entry was published, evicted or dropped.
  void CacheChanged(const ComponentId& component);
  void WantedChanged(const std::vector<DeviceService::Wanted>& wanted);
  // The model is gone or has other components now.
  void ModelChanged(const ModelId& model);

  // Reads the rows; returns what was on devices.
  StatusOr<std::vector<DeviceService::Wanted>> Read();
  // Caches what was in RAM, most recently used first, one model after another,
  // as far as it fits. Call again when there is more room.
  void BringBack();

 private:
  void Write(const ModelId& model);
  void BringBackNext();

  Catalog& catalog_;
  ModelRegistry& registry_;
  ComponentCache& cache_;
  ModelUse& uses_;
  std::map<ComponentId, std::vector<DeviceService::Wanted>> wanted_;
  std::map<ModelId, std::set<std::string>> pending_;  // components not brought back yet
  std::deque<ModelId> order_;                         // of pending_, this round
  bool running_ = false;
};

}  // namespace warmset
